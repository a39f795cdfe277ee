internal import KapsuleCore
internal import KapsuleCrypto

/// Brings files of git into the cache, many at a time.
struct GitBlobs {
    /// Content that is kept in memory, of all files together, in bytes.
    private static let mostKept: Int64 = 8 << 20
    /// Files of at most this size are looked at: a pointer of LFS is shorter, in bytes.
    private static let looksUpTo: Int64 = 16 << 10
    /// Bytes that one run of git may print.
    private static let batch: Int64 = 4 << 20

    let copy: GitCopy

    /// The files of those names. Of short ones the content is at hand.
    func load(_ names: Set<String>) throws -> [String: GitBlob] {
        guard !names.isEmpty else { return [:] }
        let missing = names.subtracting(try copy.present())
        if !missing.isEmpty { try fetch(missing) }
        let sizes = try sizes(names)
        var kept: Int64 = 0
        let short = names.sorted().filter { name in
            guard let size = sizes[name], size <= Self.looksUpTo, kept + size <= Self.mostKept else { return false }
            kept += size
            return true
        }
        var contents: [String: [UInt8]] = [:]
        var group: [String] = []
        var length: Int64 = 0
        for name in short {
            group.append(name)
            length += sizes[name] ?? 0
            if length >= Self.batch {
                try read(group, length, into: &contents)
                (group, length) = ([], 0)
            }
        }
        try read(group, length, into: &contents)
        return Dictionary(
            uniqueKeysWithValues: sizes.map { name, size in
                (name, GitBlob(copy, name: name, size: size, content: contents[name]))
            })
    }

    private func fetch(_ names: Set<String>) throws {
        let answer = try copy.run(
            [
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--recurse-submodules=no",
                "--filter=blob:none", "--stdin", "origin",
            ],
            input: Array(names.sorted().joined(separator: "\n").utf8) + [UInt8(ascii: "\n")])
        guard answer.isSuccess else {
            throw copy.repository.failure.error(answer.errors, "fetch files of \(copy.repository.url)")
        }
    }

    private func sizes(_ names: Set<String>) throws -> [String: Int64] {
        let answer = try copy.run(
            ["cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer"],
            input: Array(names.sorted().joined(separator: "\n").utf8) + [UInt8(ascii: "\n")], limit: GitTree.longestList
        )
        guard answer.isSuccess else { throw copy.repository.failure.error(answer.errors, "look into \(copy.path)") }
        var sizes: [String: Int64] = [:]
        for line in String(decoding: answer.output, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, words[1] == "blob", let size = Int64(words[2]) else { throw broken(String(line)) }
            sizes[String(words[0])] = size
        }
        guard sizes.count == names.count else { throw broken("\(names.count - sizes.count) files are not there") }
        return sizes
    }

    /// Reads what `cat-file --batch` prints: `NAME SP blob SP SIZE LF`, the content, LF.
    private func read(_ names: [String], _ length: Int64, into contents: inout [String: [UInt8]]) throws {
        guard !names.isEmpty else { return }
        let answer = try copy.run(
            ["cat-file", "--batch", "--buffer"], input: Array((names.joined(separator: "\n") + "\n").utf8),
            limit: Int(length) + names.count * 128)
        var rest = answer.output[...]
        for name in names {
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { throw broken("it ends before \(name)") }
            let words = String(decoding: rest[..<end], as: UTF8.self).split(separator: " ")
            rest = rest[rest.index(after: end)...]
            guard words.count == 3, words[0] == name, let size = Int(words[2]), size >= 0, rest.count > size else {
                throw broken("it does not have \(name)")
            }
            let content = Array(rest.prefix(size))
            guard GitBlob.isNamed(name, content) else { throw broken("\(name) is damaged") }
            contents[name] = content
            rest = rest.dropFirst(size + 1)
        }
    }

    private func broken(_ why: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "git.cache",
            "the copy of \(copy.repository.url) in the cache cannot be used: \(why.prefix(200))",
            remedy: "remove the folder \(copy.path) and run the command again")
    }
}
