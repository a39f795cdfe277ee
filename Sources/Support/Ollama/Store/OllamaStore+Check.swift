public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Synchronization

/// Something in a store that is not as it should be.
public struct OllamaFinding: Sendable, Hashable {
    /// One sentence.
    public let text: String
    /// Whether a model cannot be used because of it.
    public let isFatal: Bool
}

extension OllamaStore {
    public struct Check: Sendable {
        /// Damage first.
        public let findings: [OllamaFinding]
        /// How many there are.
        public let models: Int
        /// How many there are, whole or not.
        public let blobs: Int
    }

    /// Reads every blob and compares it with its name; looks whether every model has all that it needs, and what is there
    /// that no model needs.
    ///
    /// - Parameter threads: blobs that are read at one time.
    public func check(threads: Int, progress: any ProgressReporter) async throws -> Check {
        let (names, strays) = try models()
        let files = try Self.names(in: blobDirectory)
        let blobs = files.compactMap { file in Self.digest(of: file).map { (file: file, digest: $0) } }
        let damaged = Mutex<Set<Digest>>([])
        let directory = blobDirectory
        try await forEach(blobs, limit: threads) { file, digest in
            let source = try FileSource(OpenFile.reading("\(directory)/\(file)"), keepsItsName: false)
            let actual = try progress.during("verify \(digest.short)", total: source.size) { activity in
                try CountedHash.digest(of: source, activity)
            }
            if actual != digest { damaged.withLock { _ = $0.insert(digest) } }
        }
        let broken = damaged.withLock { $0 }
        var findings = broken.sorted().map {
            OllamaFinding(text: "blob \($0) in \(path) is damaged: its content has another digest", isFatal: true)
        }
        var needed: Set<Digest> = []
        for name in names { findings += needs(of: name, &needed) }
        findings += strays.map {
            OllamaFinding(text: "\($0) is no manifest; because of it Ollama does not clean up", isFatal: false)
        }
        let unnamed = files.filter { Self.digest(of: $0) == nil }
        findings += unnamed.map { OllamaFinding(text: describe(unnamed: $0), isFatal: false) }
        findings += blobs.filter { !needed.contains($0.digest) }.map {
            OllamaFinding(text: "no model needs blob \($0.digest); Ollama removes it when it starts", isFatal: false)
        }
        return Check(findings: findings, models: names.count, blobs: blobs.count)
    }

    /// What is wrong with one model; adds the blobs that it names.
    private func needs(of name: OllamaName, _ needed: inout Set<Digest>) -> [OllamaFinding] {
        do {
            guard let raw = try manifest(name) else { return [] }
            let blobs = try Manifest.decode(raw.bytes, what: "the manifest of \(name.short)").content.blobs
            return try blobs.compactMap { blob in
                needed.insert(blob.digest)
                if try contains(blob.artifact) { return nil }
                let isThere = try FileStatus.of(path(of: blob.digest), followsLinks: true) != nil
                return OllamaFinding(
                    text: "\(name.short) is incomplete: blob \(blob.digest) "
                        + (isThere ? "has another size than \(blob.size) bytes" : "is missing"), isFatal: true)
            }
        } catch {
            let reason = (error as? KapsuleError)?.message ?? "\(error)"
            return [OllamaFinding(text: "\(name.short) cannot be read: \(reason)", isFatal: true)]
        }
    }

    private func describe(unnamed file: String) -> String {
        file.contains("-partial")
            ? "\(blobDirectory)/\(file) is part of a download that has not ended"
            : "\(blobDirectory)/\(file) is no blob; Ollama removes it when it starts"
    }

    /// Of a blob's file name; nil for a file that is none.
    ///
    /// Source: Ollama `manifest/paths.go`, BlobsPath: `-`, in very old stores `:`, and digits of either case.
    private static func digest(of file: String) -> Digest? {
        guard file.hasPrefix("sha256-") || file.hasPrefix("sha256:") else { return nil }
        return Digest(hex: file.dropFirst(7).lowercased())
    }
}
