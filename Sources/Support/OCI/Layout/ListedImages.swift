internal import KapsuleCore

/// The images that an `index.json` lists, and how one of them is found by name: the same for a layout in a directory and
/// for one in a tar file.
public struct ListedImages {
    /// The lines of the index, in order.
    public let entries: [LayoutEntry]
    /// Names the layout in errors: its path.
    public let place: String
    private let index: (Descriptor) throws -> ImageIndex

    /// - Parameter index: reads an index that a line names.
    public init(entries: [LayoutEntry], place: String, index: @escaping (Descriptor) throws -> ImageIndex) {
        self.entries = entries
        self.place = place
        self.index = index
    }

    /// - Parameter bytes: an `index.json`.
    /// - Throws: `.unverified` when it is none.
    public init(
        reading bytes: [UInt8], place: String, index: @escaping (Descriptor) throws -> ImageIndex
    ) throws {
        self.init(entries: try LayoutIndex(bytes, what: "index.json of \(place)").entries, place: place, index: index)
    }

    /// Longest `index.json` that is read, in bytes.
    public static var longestIndex: Int64 { LayoutIndex.limit }

    /// What a name stands for: a tag, a full name, or the digest of a manifest (`sha256:…`); nil when nothing has it.
    ///
    /// A digest is looked for in the lines, then in the indexes that they name.
    public func named(_ name: String) throws -> Descriptor? {
        guard let digest = Digest(parsing: name) else {
            return (entries.first { $0.tag == name } ?? entries.first { $0.fullName == name })?.descriptor
        }
        if let entry = entries.first(where: { $0.descriptor.digest == digest }) { return entry.descriptor }
        for entry in entries where MediaType.isIndex(entry.descriptor.mediaType) {
            if let found = try index(entry.descriptor).manifests.first(where: { $0.digest == digest }) {
                return found
            }
        }
        return nil
    }

    /// The image of that name, or the only one there is.
    ///
    /// - Throws: `.usage` when there is none, or none was named and there are several.
    public func only(_ name: String?) throws -> Descriptor {
        if let name {
            if let found = try named(name) { return found }
            let tags = entries.compactMap(\.tag)
            let nearest = Suggestion.nearest(to: name, among: tags)
            throw KapsuleError(
                .usage, id: "layout.no-image", "\(place) has no image '\(name)'",
                remedy: nearest.map { "did you mean '\($0)'?" }
                    ?? (tags.isEmpty
                        ? "name an image by its digest: none there has a tag"
                        : "it has: \(tags.sorted().prefix(20).joined(separator: ", "))"))
        }
        // Several names of one image are no question.
        guard let first = entries.first, Set(entries.map(\.descriptor.digest)).count == 1 else {
            throw KapsuleError(
                .usage, id: "layout.which-image", "\(place) has \(entries.count) images, and none was named",
                remedy: entries.isEmpty
                    ? "put an image there first"
                    : "name one: \(entries.map { $0.tag ?? $0.descriptor.digest.description }.joined(separator: ", "))")
        }
        return first.descriptor
    }
}

extension LayoutEntry {
    /// A line for a new `index.json`.
    ///
    /// - Parameters:
    ///   - tag: the name inside the layout.
    ///   - fullName: with registry and repository, as containerd reads it.
    public static func line(_ descriptor: Descriptor, tag: String?, fullName: String?) -> Descriptor {
        var descriptor = descriptor
        descriptor.annotations[tagAnnotation] = tag
        descriptor.annotations[fullNameAnnotation] = fullName
        return descriptor
    }
}
