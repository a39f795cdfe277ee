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
        if block == 0 { return (["the superblock"] + ownersOfFirstBlock).joined(separator: ", ") }
        guard let system = try? EROFS.readImage(image.data) else {
            return "metadata, or a file that can no longer be told"
        }
        return offset < system.size ? system.description(ofBlock: block) : "zeros behind the file system"
    }

    /// Files whose ends are beside the superblock. Its checksum is over them, so the image is read as if that were right.
    private var ownersOfFirstBlock: [String] {
        guard var block = try? SealedImage.firstBlock(of: image.data), block.count == EROFS.blockSize else { return [] }
        EROFS.sealFirstBlock(&block)
        let rest = SliceSource(image.data, Int64(EROFS.blockSize)..<image.data.size)
        guard let system = try? EROFS.readImage(ConcatenatedSource([MemorySource(block), rest])) else { return [] }
        let owners = system.entries(inBlock: 0).filter {
            $0.kind == .regular && $0.tail.map { $0.offset < 4096 } ?? false
        }
        return owners.map(\.displayPath)
    }
}
