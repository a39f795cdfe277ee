import Formats
import KapsuleCore

/// What a path in a layer means for the target.
enum LayerPath {
    /// Below the target.
    case inside(BundlePath)
    /// The target itself.
    case target
    /// Somewhere else in the image, where nothing is unpacked.
    case outside
    /// `.wh.NAME`: what lower layers have at this path, and below it, is gone. Empty for all of the target.
    case whiteout(String)
    /// `.wh..wh..opq`: what lower layers have below this path is gone. Empty for the target.
    case opaque(String)

    private static let whiteoutPrefix = ".wh."

    /// - Throws: `.unverified` for a path that is absolute or climbs, wherever it would lead.
    ///
    /// Source: OCI image-spec v1.1, layer.md, "Whiteouts".
    init(_ text: String, prefix: String, what: String) throws {
        guard let path = try Self.validated(text, what) else {
            self = prefix.isEmpty ? .target : .outside
            return
        }
        guard path.name.hasPrefix(Self.whiteoutPrefix) else {
            self = Self.place(path.text, prefix: prefix) { .inside($0) }
            return
        }
        let parent = path.ancestors.last ?? ""
        let name = String(path.name.dropFirst(Self.whiteoutPrefix.count))
        switch name {
        case ".wh..opq": self = Self.cover(parent, prefix: prefix) { .opaque($0) }
        // Marks of aufs, which no unpacker heeds.
        case _ where name.hasPrefix(Self.whiteoutPrefix): self = .outside
        case "", ".", "..": throw Self.problem(text, what, "is a whiteout of nothing")
        default: self = Self.cover(parent.isEmpty ? name : "\(parent)/\(name)", prefix: prefix) { .whiteout($0) }
        }
    }

    /// Nil for the root of the image.
    static func validated(_ text: String, _ what: String) throws -> BundlePath? {
        var rest = Substring(text)
        while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
        if rest.isEmpty || rest == "." { return nil }
        do {
            return try BundlePath(validating: String(rest))
        } catch {
            throw problem(text, what, error.reason)
        }
    }

    private static func problem(_ text: String, _ what: String, _ reason: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "unpack.path",
            "\(what) has an entry that cannot be unpacked: '\(text.prefix(200))' \(reason)",
            remedy: "do not use this image: sound tools do not make such layers")
    }

    private static func place(_ path: String, prefix: String, _ make: (BundlePath) -> LayerPath) -> LayerPath {
        if path == prefix { return .target }
        let rest: Substring
        if prefix.isEmpty {
            rest = path[...]
        } else {
            guard path.hasPrefix(prefix + "/") else { return .outside }
            rest = path.dropFirst(prefix.count + 1)
        }
        // A part of a valid path is one.
        return (try? BundlePath(validating: String(rest))).map(make) ?? .outside
    }

    /// As `place`, for what reaches down: an ancestor of the target covers all of it.
    private static func cover(_ path: String, prefix: String, _ make: (String) -> LayerPath) -> LayerPath {
        if path.isEmpty || prefix == path || prefix.hasPrefix(path + "/") { return make("") }
        guard case .inside(let inside) = place(path, prefix: prefix, { .inside($0) }) else { return .outside }
        return make(inside.text)
    }
}
