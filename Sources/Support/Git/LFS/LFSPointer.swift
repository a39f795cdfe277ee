internal import KapsuleCore

/// What git has in place of a file of LFS: which content, and how long.
///
/// ```
/// version https://git-lfs.github.com/spec/v1
/// oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
/// size 12345
/// ```
///
/// Source: git-lfs, docs/spec.md, "The Pointer".
struct LFSPointer: Sendable, Hashable {
    /// Longest that a pointer may be, in bytes.
    static let longest = 1024
    private static let versions = ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1"]

    let digest: Digest
    /// In bytes.
    let size: Int64

    init(digest: Digest, size: Int64) {
        self.digest = digest
        self.size = size
    }

    /// Nil for what is no pointer.
    ///
    /// - Throws: `.usage` for one that this program cannot follow.
    init?(_ content: [UInt8], path: BundlePath) throws {
        guard content.count <= Self.longest, content.starts(with: "version ".utf8),
            let text = String(validating: content, as: UTF8.self)
        else { return nil }
        var values: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2 else { return nil }
            values[words[0]] = words[1]
        }
        guard let version = values["version"], Self.versions.contains(String(version)) else { return nil }
        func refusal(_ why: String) -> KapsuleError {
            KapsuleError(
                .usage, id: "lfs.pointer", "\(path) is a pointer of Git LFS that \(why)",
                remedy: "leave the file out with EXCLUDE, or check it with git lfs pointer --check")
        }
        if values.keys.contains(where: { $0.hasPrefix("ext-") }) {
            throw refusal("needs extensions, programs that change the content")
        }
        guard let oid = values["oid"], oid.hasPrefix("sha256:"), let digest = Digest(hex: String(oid.dropFirst(7))),
            let length = values["size"], length.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let size = Int64(length)
        else { throw refusal("names no content") }
        (self.digest, self.size) = (digest, size)
    }
}
