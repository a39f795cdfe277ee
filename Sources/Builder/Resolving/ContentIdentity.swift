public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import Synchronization

/// The identity of a model that nobody gave a revision: its name and what is in it.
public enum ContentIdentity {
    /// `NAME@HASH`, the hash over the content and the paths of all files. Files that were not hashed before are read.
    ///
    /// Source: Go's module directory hash `h1` (golang.org/x/mod/sumdb/dirhash), in hex.
    ///
    /// - Parameter name: of the model; what is before the `@`.
    /// - Throws: `.usage` for a file whose name holds a newline.
    public static func identify(
        _ bundle: ModelBundle, named name: String, concurrency: Int, progress: any ProgressReporter
    ) async throws -> ModelBundle {
        for file in bundle.files where file.path.text.utf8.contains(UInt8(ascii: "\n")) {
            throw KapsuleError(
                .usage, id: "identity.newline",
                "the name of \(file.path) holds a newline, so the model has no content hash",
                remedy: "rename the file, or give the model an identity with --model-id NAME@REVISION")
        }
        let digests = Mutex([Digest?](repeating: nil, count: bundle.files.count))
        try await forEach(bundle.files.indices, limit: concurrency) { index in
            let digest = try bundle.files[index].digest(progress)
            digests.withLock { $0[index] = digest }
        }
        let known = digests.withLock { $0 }
        let lines = zip(bundle.files, known).map { "\($1?.hex ?? "")  \($0.path)\n" }
        return bundle.identified(as: "\(name)@\(Digest.of(lines.joined()).hex)", digests: known)
    }
}

extension ModelBundle.File {
    /// SHA-256 of the file: as its source knows it, or found out by reading it, and remembered then.
    func digest(_ progress: any ProgressReporter) throws -> Digest {
        if let digest = source.digest { return digest }
        return try progress.during("hash \(path)", total: source.size) { activity in
            let start = WallClock.now
            let digest = try CountedHash.digest(of: source, activity)
            (source as? ContextFile)?.remember(digest, hashedFrom: start)
            return digest
        }
    }
}
