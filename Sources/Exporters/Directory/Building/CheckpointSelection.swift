import Formats
import KapsuleCore

extension DirectoryExporter.Selection {
    /// As `--format` names it.
    var name: String {
        switch self {
        case .all: "hf"
        case .checkpoints: "pytorch"
        }
    }

    /// The files that are taken, by their index in the bundle. Of weights the first bytes are read; names are not trusted.
    ///
    /// - Throws: `.usage` where PyTorch's weights are wanted, and the model has none.
    func files(of bundle: ModelBundle) throws -> Set<Int> {
        guard case .checkpoints = self else { return Set(bundle.files.indices) }
        var taken: Set<Int> = []
        var others: [BundlePath] = []
        var hasCheckpoint = false
        for (index, file) in bundle.files.enumerated() {
            switch try kind(of: file) {
            case .checkpoint:
                hasCheckpoint = true
                taken.insert(index)
            case .otherWeights: others.append(file.path)
            case .noWeights: taken.insert(index)
            }
        }
        guard hasCheckpoint else {
            throw KapsuleError(
                .usage, id: "pytorch.no-weights",
                "the model has no PyTorch weights, so there is nothing for torch.load"
                    + (others.first.map { ": \($0) is of another format" } ?? ""),
                remedy: "use --format hf, which takes every format")
        }
        return taken
    }

    private enum Kind { case checkpoint, otherWeights, noWeights }

    private func kind(of file: ModelBundle.File) throws -> Kind {
        // The index of a split model in another format would lead to files that are not there.
        if file.path.name.hasSuffix(".safetensors.index.json") { return .otherWeights }
        guard [.weights, .adapter, .projector].contains(file.role), !file.path.name.hasSuffix(".json") else {
            return .noWeights
        }
        let head = try FileSign.head(of: file.source)
        switch FileSign(head: head, size: file.source.size, name: file.path.name) {
        case .zip, .pickle, .tar:
            return try Checkpoint.read(file.source, head: head, what: file.path.text) == nil
                ? .otherWeights : .checkpoint
        case .gguf, .obsolete, .safetensors, .hdf5, .tensorFlowLite, .numpy, .parquet, .onnx: return .otherWeights
        case .lfsPointer, .webPage, .empty, .unknown: return .noWeights
        }
    }
}
