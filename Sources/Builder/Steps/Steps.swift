public import KapsuleCore

/// A pinned source: it is decided what its files are.
public struct SourceStep: Step {
    public let kind = StepKind.source
    /// The reference as the Modelfile writes it.
    public let reference: String
    /// What it was pinned to: a digest, a commit; nil for local files, which are pinned by their contents.
    public let revision: String?
    public let fileCount: Int
    public let size: Int64?

    public var subject: String {
        [reference, revision.map { "@ \($0)" }, "(\(fileCount) \(fileCount == 1 ? "file" : "files"))"]
            .compactMap(\.self).joined(separator: " ")
    }
    public var outputs: [String] { [] }

    public func describe(into key: inout StepKey) { key.mix("revision", revision ?? "") }
}

/// One read of a lane of the bundle, for every output that wants it.
public struct TransferStep: Step {
    public struct File: Sendable, Hashable {
        public let path: BundlePath
        public let size: Int64
        public let isExecutable: Bool
        /// Nil until it was read once.
        public let digest: Digest?
    }

    public let kind = StepKind.transfer
    /// Index of the lane in the bundle.
    public let lane: Int
    public let files: [File]
    public let outputs: [String]

    public init(lane: Int, of bundle: ModelBundle, to outputs: [String]) {
        self.lane = lane
        self.outputs = outputs
        files = bundle.lanes[lane].files.map { index in
            let file = bundle.files[index]
            return File(
                path: file.path, size: file.source.size, isExecutable: file.isExecutable, digest: file.source.digest)
        }
    }

    public var subject: String { Self.subject(of: files.map(\.path)) }
    public var size: Int64? { files.reduce(0) { $0 + $1.size } }

    /// `model.safetensors`, or `config.json and 13 more files`.
    public static func subject(of paths: [BundlePath]) -> String {
        guard let first = paths.first else { return "nothing" }
        switch paths.count {
        case 1: return first.text
        case 2: return "\(first) and \(paths[1])"
        default: return "\(first) and \(paths.count - 1) more files"
        }
    }

    public func describe(into key: inout StepKey) {
        for file in files {
            key.mix("path", file.path.text)
            key.mix("executable", file.isExecutable)
            key.mix("digest", file.digest)
        }
    }
}

/// Makes one output visible.
public struct CommitStep: Step {
    public let kind = StepKind.commit
    /// Index of the output's session.
    public let output: Int
    public let name: String
    /// Digest of the canonical Modelfile that travels with the model.
    public let modelfile: Digest

    public var subject: String { name }
    public var size: Int64? { nil }
    public var outputs: [String] { [name] }

    public func describe(into key: inout StepKey) { key.mix("modelfile", modelfile) }
}
