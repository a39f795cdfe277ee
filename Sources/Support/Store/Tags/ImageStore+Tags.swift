internal import KapsuleCore
public import KapsuleIO
public import OCI

extension ImageStore {
    /// When an image got its name, on its line of `index.json`: seconds since 1970.
    static let taggedAnnotation = "dev.kapsule.tagged"

    /// Gives an image a name. Its blobs are here already.
    ///
    /// - Parameters:
    ///   - replace: whether the name may move from another image.
    ///   - now: nanoseconds since 1970.
    /// - Throws: `.conflict` when the name stands for another image and `replace` is false; `.unverified` when the
    ///   manifest is not here.
    public func tag(
        _ reference: Reference, _ descriptor: Descriptor, replace: Bool, now: Int64 = WallClock.now
    ) throws {
        let use = try use()
        defer { withExtendedLifetime(use) {} }
        _ = try layout.blob(descriptor.artifact)
        var descriptor = descriptor
        descriptor.annotations[Self.taggedAnnotation] = String(now / 1_000_000_000)
        let name = Self.storedName(reference)
        try layout.setTag(name, fullName: name, descriptor, replace: replace)
    }

    /// What the layout's index calls it. A digest is no part of a name.
    private static func storedName(_ reference: Reference) -> String {
        Reference(host: reference.host, repository: reference.repository, tag: reference.tag ?? "latest").description
    }

    /// What a name or a digest stands for; nil when nothing here has it.
    public func descriptor(for reference: Reference) throws -> Descriptor? {
        if let digest = reference.digest { return try layout.descriptor(named: digest.description) }
        return try layout.descriptor(named: Self.storedName(reference))
    }

    /// Everything that has a name, by name; then what has none.
    public func images() throws -> [StoredImage] {
        let entries = try layout.entries()
        let closures = try Dictionary(
            entries.map { ($0.descriptor.digest, try closure(of: $0.descriptor)) },
            uniquingKeysWith: { first, _ in first })
        var uses: [Digest: Int] = [:]
        for (closure, _) in closures.values { for blob in closure.keys { uses[blob, default: 0] += 1 } }
        let images = entries.map { entry in
            let (blobs, problem) = closures[entry.descriptor.digest] ?? ([:], nil)
            let (name, tag) = Self.split(entry.tag ?? entry.fullName ?? "<none>")
            return StoredImage(
                name: name, tag: tag, digest: entry.descriptor.digest, size: blobs.values.reduce(0, +),
                uniqueSize: blobs.filter { uses[$0.key] == 1 }.values.reduce(0, +),
                tagged: entry.descriptor.annotations[Self.taggedAnnotation].flatMap(Int64.init), problem: problem)
        }
        return images.sorted {
            ($0.name == "<none>" ? 1 : 0, $0.reference) < ($1.name == "<none>" ? 1 : 0, $1.reference)
        }
    }

    /// What an image needs, or as much of it as can be told, and what is wrong with it.
    private func closure(of root: Descriptor) throws -> ([Digest: Int64], KapsuleError?) {
        do {
            let closure = try Closure(of: root, in: layout)
            let problem = closure.missing.first.map { blob in
                KapsuleError(
                    .unverified, id: "store.incomplete", "\(root.digest) is incomplete: blob \(blob.digest) is missing",
                    remedy: "pull or build the image again")
            }
            return (closure.blobs, problem)
        } catch let error as KapsuleError where error.code == .unverified {
            return ([root.digest: root.size], error)
        }
    }

    private static func split(_ name: String) -> (String, String?) {
        guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else { return (name, nil) }
        return (String(name[..<colon]), String(name[name.index(after: colon)...]))
    }

    /// Takes names away: the name itself, or every name of the image whose digest begins so. Blobs stay until `prune`.
    ///
    /// - Parameter text: `mistral:7b`, `mistral` for its tag `latest`, `sha256:9f86…` or at least six of its digits.
    /// - Returns: the names that went; for an image without one, its digest.
    /// - Throws: `.usage` when nothing is called that, or several images' digests begin so.
    @discardableResult
    public func remove(_ text: String) throws -> [String] {
        let entries = try layout.entries()
        let named = entries.filter { $0.tag == text || $0.tag == "\(text):latest" }
        if let entry = named.first(where: { $0.tag == text }) ?? named.first {
            return try remove { $0.tag == entry.tag }
        }
        let digits = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
        let digests = Set(entries.map(\.descriptor.digest).filter { digits.count >= 6 && $0.hex.hasPrefix(digits) })
        if digests.count > 1 {
            throw KapsuleError(
                .usage, id: "store.ambiguous", "\(digests.count) images have a digest that begins with '\(digits)'",
                remedy: "give more digits: \(digests.sorted().map(\.short).joined(separator: ", "))")
        }
        guard let digest = digests.first else { throw unknown(text, among: entries.compactMap(\.tag)) }
        return try remove { $0.descriptor.digest == digest }
    }

    private func remove(where condition: (LayoutEntry) -> Bool) throws -> [String] {
        let use = try use()
        defer { withExtendedLifetime(use) {} }
        return try layout.removeEntries(where: condition).map { $0.tag ?? $0.descriptor.digest.description }
    }

    private func unknown(_ text: String, among names: [String]) -> KapsuleError {
        // `mistral` is near `mistral:7b` for a person, if not by the letters.
        let nearest =
            names.first { $0.hasPrefix("\(text):") }
            ?? Suggestion.nearest(to: text, among: names)
            ?? Suggestion.nearest(to: "\(text):latest", among: names)
        return KapsuleError(
            .usage, id: "store.no-image", "the store has no image '\(text)'",
            remedy: nearest.map { "did you mean '\($0)'?" } ?? "see 'kapsule ls' for what is there")
    }
}
