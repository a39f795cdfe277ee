/// One pattern of an ignore file, as git reads them.
///
/// - A pattern without `/` (other than a last one) matches a name at any depth; one with `/` is anchored at the root.
/// - `*` and `?` do not match `/`; `**/` matches any directories, `/**` everything below; `[a-z]`, `[!a]` are classes.
/// - A trailing `/` matches directories only; a leading `!` takes files back in; `\` makes the next byte literal.
/// - A pattern that matches a directory matches everything in it.
///
/// Works on bytes: a name that is not UTF-8 is matched as it is.
///
/// Source: gitignore(5), "PATTERN FORMAT".
public struct PathPattern: Sendable, Hashable {
    /// As it was typed.
    public let text: String
    /// Whether it takes files back in.
    public let isNegated: Bool
    private let matchesOnlyDirectories: Bool
    private let segments: [[UInt8]]

    /// Nil for a pattern that matches nothing: empty, or only `/` and `!`.
    public init?(_ text: String) {
        self.text = text
        var bytes = Array(text.utf8)
        isNegated = bytes.first == UInt8(ascii: "!")
        if isNegated { bytes.removeFirst() }
        matchesOnlyDirectories = bytes.last == UInt8(ascii: "/")
        while bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        let isAnchored = bytes.contains(UInt8(ascii: "/"))
        if bytes.first == UInt8(ascii: "/") { bytes.removeFirst() }
        guard !bytes.isEmpty else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }
        segments = isAnchored ? parts : [Array("**".utf8)] + parts
    }

    /// Whether the file at `path` matches, itself or through a directory above it.
    public func matches(_ path: BundlePath) -> Bool { matches(path.text, isDirectory: false) }

    /// - Parameter path: Relative to the root the patterns belong to, `/`-separated.
    public func matches(_ path: String, isDirectory: Bool) -> Bool {
        let parts = path.utf8.split(separator: UInt8(ascii: "/")).map { Array($0) }
        for count in 1..<max(2, parts.count + 1) {
            let isWhole = count == parts.count
            if matchesOnlyDirectories, isWhole, !isDirectory { continue }
            if Self.match(segments[...], parts[..<count]) { return true }
        }
        return false
    }

    private static let anyDirectories = Array("**".utf8)

    private static func match(_ pattern: ArraySlice<[UInt8]>, _ path: ArraySlice<[UInt8]>) -> Bool {
        guard let first = pattern.first else { return path.isEmpty }
        if first == anyDirectories {
            let rest = pattern.dropFirst()
            // `a/**` needs something below `a`; `**/a` and `a/**/b` may stand for no directory at all.
            if rest.isEmpty { return !path.isEmpty }
            for skip in 0...path.count where match(rest, path.dropFirst(skip)) { return true }
            return false
        }
        guard let name = path.first, matchName(first[...], name[...]) else { return false }
        return match(pattern.dropFirst(), path.dropFirst())
    }

    /// One part against one part. Backtracks over the last `*` only, so it takes at most pattern × name steps.
    private static func matchName(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        var (p, n) = (pattern.startIndex, name.startIndex)
        var star: (pattern: Int, name: Int)?
        while n < name.endIndex {
            if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if let next = step(pattern, p, name[n]) {
                p = next
                n += 1
            } else if let last = star {
                star = (last.pattern, last.name + 1)
                p = last.pattern + 1
                n = last.name + 1
            } else {
                return false
            }
        }
        while p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") { p += 1 }
        return p == pattern.endIndex
    }

    /// Where the pattern goes on after its item at `p` took `byte`; nil when it does not take it.
    private static func step(_ pattern: ArraySlice<UInt8>, _ p: Int, _ byte: UInt8) -> Int? {
        guard p < pattern.endIndex else { return nil }
        switch pattern[p] {
        case UInt8(ascii: "?"): return p + 1
        case UInt8(ascii: "["):
            guard let (set, next) = characterClass(pattern, p) else { return byte == UInt8(ascii: "[") ? p + 1 : nil }
            return set(byte) ? next : nil
        case UInt8(ascii: "\\") where p + 1 < pattern.endIndex: return pattern[p + 1] == byte ? p + 2 : nil
        default: return pattern[p] == byte ? p + 1 : nil
        }
    }

    /// The class that opens at `p`, and where it ends; nil when it is not closed.
    private static func characterClass(_ pattern: ArraySlice<UInt8>, _ p: Int) -> ((UInt8) -> Bool, Int)? {
        var i = p + 1
        guard i < pattern.endIndex else { return nil }
        let isNegated = pattern[i] == UInt8(ascii: "!") || pattern[i] == UInt8(ascii: "^")
        if isNegated { i += 1 }
        var ranges: [ClosedRange<UInt8>] = []
        let start = i
        while i < pattern.endIndex, pattern[i] != UInt8(ascii: "]") || i == start {
            if pattern[i] == UInt8(ascii: "\\"), i + 1 < pattern.endIndex { i += 1 }
            let low = pattern[i]
            if i + 2 < pattern.endIndex, pattern[i + 1] == UInt8(ascii: "-"), pattern[i + 2] != UInt8(ascii: "]") {
                let high = pattern[i + 2]
                if low <= high { ranges.append(low...high) }
                i += 3
            } else {
                ranges.append(low...low)
                i += 1
            }
        }
        guard i < pattern.endIndex else { return nil }
        return ({ byte in ranges.contains { $0.contains(byte) } != isNegated }, i + 1)
    }
}

/// An ordered list of patterns; the last one that matches decides.
public struct PathFilter: Sendable, Hashable {
    public private(set) var patterns: [PathPattern]

    public init(_ patterns: [PathPattern] = []) { self.patterns = patterns }

    /// Blank and unmatchable patterns are left out.
    public init(_ texts: some Sequence<String>) { patterns = texts.compactMap(PathPattern.init) }

    public var isEmpty: Bool { patterns.isEmpty }

    public mutating func append(_ more: some Sequence<PathPattern>) { patterns.append(contentsOf: more) }

    /// Whether the list leaves `path` out: the last pattern that matches it is not a `!` one.
    public func excludes(_ path: BundlePath, isDirectory: Bool = false) -> Bool {
        patterns.last { $0.matches(path.text, isDirectory: isDirectory) }.map { !$0.isNegated } ?? false
    }

    /// Whether everything below the directory `path` is left out, so that nobody need look.
    public func excludesAll(in path: BundlePath) -> Bool {
        !patterns.contains(where: \.isNegated) && excludes(path, isDirectory: true)
    }

    /// The lines of an ignore file: comments and blank lines dropped, unescaped trailing blanks cut.
    ///
    /// Source: gitignore(5); `.dockerignore` differs in anchoring patterns without `/`, which is not followed.
    public init(ignoreFile text: String) {
        self.init(
            text.split(omittingEmptySubsequences: true, whereSeparator: \.isNewline).compactMap { line -> String? in
                var line = line
                while line.last == " ", !line.hasSuffix("\\ ") { line.removeLast() }
                return line.isEmpty || line.first == "#" ? nil : String(line)
            })
    }
}
