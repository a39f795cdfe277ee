internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A file of git, in the cache. All of it is checked against its name whenever all of it is read.
final class GitBlob: ByteSource {
    private let copy: GitCopy
    private let name: String
    let size: Int64
    /// All of a short one.
    let content: [UInt8]?
    let digest: Digest?

    init(_ copy: GitCopy, name: String, size: Int64, content: [UInt8]?) {
        self.copy = copy
        self.name = name
        self.size = size
        self.content = content
        digest = content.map { Digest.of($0) }
    }

    var backing: ByteBacking { content.map { .memory($0) } ?? .stream }
    /// SHA-1 names are those that other tools know files by.
    var gitBlobName: String? { name.utf8.count == 40 ? name : nil }

    /// Repositories with SHA-256 names are checked by git alone, when it receives them.
    static func isNamed(_ name: String, _ content: [UInt8]) -> Bool {
        name.utf8.count != 40 || GitBlobHasher.name(of: content) == name
    }

    func read(_ range: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        if let content { return try MemorySource(content).read(range, into: &sink) }
        guard !range.isEmpty else { return }
        var hasher = GitBlobHasher(size: size)
        var offset: Int64 = 0
        do {
            let answer = try copy.stream(["cat-file", "blob", name]) { bytes in
                try Task.checkNotInterrupted()
                hasher.update(bytes)
                let part = range.clamped(to: offset..<offset + Int64(bytes.count))
                if !part.isEmpty {
                    try sink.write(bytes.extracting(Int(part.lowerBound - offset)..<Int(part.upperBound - offset)))
                }
                offset += Int64(bytes.count)
                if offset >= range.upperBound, range.upperBound < size { throw IsEnough() }
            }
            guard answer.isSuccess, offset == size else { throw damaged() }
        } catch is IsEnough {
            return
        }
        if name.utf8.count == 40, hasher.finalize() != name { throw damaged() }
    }

    private struct IsEnough: Error {}

    private func damaged() -> KapsuleError {
        KapsuleError(
            .unverified, id: "git.damaged", "object \(name) of \(copy.repository.url) is damaged in the cache",
            remedy: "remove the folder \(copy.path) and run the command again")
    }
}
