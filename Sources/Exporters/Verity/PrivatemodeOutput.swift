internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// `OUT/<model>/<root hash>` and its description `OUT/<model>/<root hash>.json`, as privatemode has them.
struct PrivatemodeOutput: VerityOutput {
    /// Releases whose bytes these are.
    private static let formatterVersion = "1.9"
    private static let veritysetupVersion = "2.6.1"

    let directory: String
    private let source: String
    private let commit: String
    private let excludedFiles: String

    init(_ bundle: ModelBundle, excludedFiles: String, in output: String) {
        let identity = bundle.identity.split(separator: "@", maxSplits: 1).map(String.init)
        source = bundle.origin.url ?? identity.first ?? bundle.identity
        commit = bundle.origin.revision ?? (identity.count > 1 ? identity[1] : "")
        self.excludedFiles = excludedFiles
        directory = "\(output)/\(Self.normalised(source))"
    }

    var title: String { "\(directory)/<root hash>" }

    /// A source without scheme, host and final `.git`; what is not an ASCII letter or digit is `-`, never twice in a row.
    static func normalised(_ source: String) -> String {
        var rest = source[...]
        if let scheme = rest.firstRange(of: "://") {
            let behindHost = rest[scheme.upperBound...].firstIndex(of: "/")
            rest = behindHost.map { rest[rest.index(after: $0)...] } ?? ""
        }
        if rest.hasSuffix(".git") { rest = rest.dropLast(4) }
        var name = ""
        for scalar in rest.unicodeScalars {
            let isKept = scalar.isASCII && scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            if isKept { name += String(scalar).lowercased() } else if !name.hasSuffix("-") { name += "-" }
        }
        return name.isEmpty ? "-" : name
    }

    func publish(_ image: UnnamedImage) throws -> ExportReceipt {
        let path = "\(directory)/\(image.root.hex)"
        // One long hash over all of it: nothing that was known before can stand in for it.
        let digest = try Digest.of(FileSource(image.file.file, keepsItsName: false))
        let lock = try FileLock("\(directory)/.lock", .exclusive)
        try withExtendedLifetime(lock) {
            try image.file.commit(as: path, existing: .replace)
            try AtomicFile.write(Array(description(of: image, digest).utf8), to: "\(path).json")
        }
        return ExportReceipt(
            identity: image.root, reference: image.reference,
            outputs: [(path, Artifact(digest: digest, size: image.size))], imagePath: path)
    }

    private func description(of image: UnnamedImage, _ digest: Digest) -> String {
        JSON.members([
            "model_source": .string(source),
            "commit_hash": .string(commit),
            "excluded_files": .string(excludedFiles),
            "root_hash": .string(image.root.hex),
            "hash_offset": .string(String(image.hashOffset)),
            "erofs_version": .string(Self.formatterVersion),
            "veritysetup_version": .string(Self.veritysetupVersion),
            "file_hash_sha256": .string(digest.hex),
        ]).pretty + "\n"
    }
}
