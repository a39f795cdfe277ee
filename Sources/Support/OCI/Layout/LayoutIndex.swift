internal import KapsuleCore

/// One line of a layout's `index.json`.
public struct LayoutEntry: Sendable, Hashable {
    /// What `skopeo` names with `oci:DIR:TAG`.
    static let tagAnnotation = "org.opencontainers.image.ref.name"
    /// Where containerd and buildx keep the whole name.
    static let fullNameAnnotation = "io.containerd.image.name"

    public let descriptor: Descriptor

    public init(descriptor: Descriptor) { self.descriptor = descriptor }

    /// The name inside the layout.
    public var tag: String? { descriptor.annotations[Self.tagAnnotation] }
    /// The name with registry and repository, where its writer knew one.
    public var fullName: String? { descriptor.annotations[Self.fullNameAnnotation] }

    func isNamed(_ name: String) -> Bool { tag == name || fullName == name }
}

/// The `index.json` of a layout, with everything in it that kapsule does not know.
///
/// Source: OCI image-spec v1.1, image-layout.md, "index.json file".
struct LayoutIndex {
    /// Longest `index.json` that is read, in bytes: room for some hundred thousand images.
    static let limit: Int64 = 64 << 20

    private var members: [(name: String, value: [UInt8])]
    private var lines: [(raw: [UInt8], entry: LayoutEntry?)]

    /// Of a new layout.
    init() {
        members = [
            ("schemaVersion", Array("2".utf8)), ("mediaType", Array(JSON.string(MediaType.index).compact.utf8)),
            ("manifests", Array("[]".utf8)),
        ]
        lines = []
    }

    /// - Throws: `.unverified` for anything that is not an index. An entry that is not understood, such as one named
    ///   by SHA-512, is kept and not listed.
    init(_ bytes: [UInt8], what: String) throws {
        members = try RawJSON.members(of: bytes, what: what)
        guard let manifests = members.first(where: { $0.name == "manifests" }) else {
            throw KapsuleError(
                .unverified, id: "document.malformed", "\(what) has no member 'manifests'",
                remedy: "make the layout again, or name another directory")
        }
        lines = try RawJSON.elements(of: manifests.value, what: what).map { raw in
            let wire = try decode(DescriptorWire.self, from: raw, what: what)
            return (raw, (try? wire.descriptor(of: what)).map(LayoutEntry.init))
        }
    }

    /// Those that kapsule understands, in order.
    var entries: [LayoutEntry] { lines.compactMap(\.entry) }

    var bytes: [UInt8] {
        let array = RawJSON.array(lines.map(\.raw))
        return RawJSON.object(members.map { $0.name == "manifests" ? ($0.name, array) : $0 })
    }

    mutating func append(_ descriptor: Descriptor) {
        lines.append((Array(descriptor.json.compact.utf8), LayoutEntry(descriptor: descriptor)))
    }

    mutating func removeAll(where condition: (LayoutEntry) -> Bool) {
        lines.removeAll { $0.entry.map(condition) ?? false }
    }
}
