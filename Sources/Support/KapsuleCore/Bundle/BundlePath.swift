/// Where a file is inside a model: relative, `/`-separated, with no `.`, `..`, empty or NUL-holding part.
public struct BundlePath: Hashable, Sendable, CustomStringConvertible {
    /// Longest path that every output can hold, in bytes: Linux `PATH_MAX` less the room for a destination.
    public static let maximumLength = 3072
    /// Longest name of one part, in bytes: Linux `NAME_MAX`.
    public static let maximumPartLength = 255

    public let text: String

    /// Checks `text`. The words of the problem complete "the path '…' ".
    public init(validating text: String) throws(PathProblem) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { throw PathProblem(reason: "is empty") }
        guard bytes.count <= Self.maximumLength else {
            throw PathProblem(reason: "is longer than \(Self.maximumLength) bytes")
        }
        guard bytes.first != UInt8(ascii: "/") else { throw PathProblem(reason: "is absolute") }
        guard !bytes.contains(0) else { throw PathProblem(reason: "holds a NUL byte") }
        for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            switch Array(part) {
            case []: throw PathProblem(reason: "has an empty part")
            case Array(".".utf8): throw PathProblem(reason: "has a part '.'")
            case Array("..".utf8): throw PathProblem(reason: "climbs out with '..'")
            case let part where part.count > Self.maximumPartLength:
                throw PathProblem(reason: "has a part longer than \(Self.maximumPartLength) bytes")
            default: break
            }
        }
        self.text = text
    }

    public var description: String { text }
    /// The last part.
    public var name: String { String(text.split(separator: "/").last ?? "") }
    /// The directories above, outermost first: `a/b/c` gives `a`, `a/b`.
    public var ancestors: [String] {
        let parts = text.split(separator: "/")
        return (1..<max(1, parts.count)).map { parts.prefix($0).joined(separator: "/") }
    }
}

extension BundlePath: Comparable {
    /// By bytes, so that the order is the same on every machine and in every locale.
    public static func < (a: BundlePath, b: BundlePath) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    public static func == (a: BundlePath, b: BundlePath) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    public func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }
}

/// Why a text is not the path of a file inside a model.
public struct PathProblem: Error, Equatable {
    /// Completes "the path … ".
    public let reason: String

    public init(reason: String) { self.reason = reason }
}
