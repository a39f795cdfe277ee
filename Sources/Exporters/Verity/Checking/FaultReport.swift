internal import Formats
internal import KapsuleCore

/// Says in words what a fault hits.
struct FaultReport {
    let image: SealedImage

    func error(_ fault: VerityVerifier.Fault) -> KapsuleError {
        if isTop(fault) {
            return KapsuleError(
                .unverified, id: "verity.other-root",
                "\(image.file.path) is not the image with the root hash \(image.root.hex): already "
                    + "\(name(fault)) is another",
                remedy:
                    "check --root-hash, and --model-id or --salt; when they are right, the image is damaged or another")
        }
        return KapsuleError(
            .unverified, id: "verity.mismatch",
            "\(image.file.path) is damaged: \(name(fault)) is not what the root hash promises",
            remedy: "fetch or build the image again, and do not use this one")
    }

    /// Whether it is what the root hash itself speaks of.
    private func isTop(_ fault: VerityVerifier.Fault) -> Bool {
        switch fault {
        case .data: image.geometry.levels.isEmpty
        case .hash(let level, _): level == image.geometry.levels.count - 1
        }
    }

    private func name(_ fault: VerityVerifier.Fault) -> String {
        switch fault {
        case .data(let block): "block \(block) of the data (\(owner(ofBlock: block)))"
        case .hash(let level, let block): "block \(block) of hash tree level \(level)"
        }
    }

    /// Metadata may be damaged too: then the names are those that it still gives.
    private func owner(ofBlock block: Int64) -> String {
        let offset = block * Int64(VerityGeometry.blockSize)
        guard let system = try? EROFS.readImage(image.data) else {
            return block == 0 ? "the superblock" : "metadata, or a file that can no longer be told"
        }
        return offset < system.size ? system.description(ofBlock: block) : "zeros behind the file system"
    }
}
