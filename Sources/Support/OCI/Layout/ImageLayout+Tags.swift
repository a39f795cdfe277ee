internal import KapsuleCore
internal import KapsuleIO

extension ImageLayout {
    /// The lines of `index.json`, in order.
    public func entries() throws -> [LayoutEntry] { try readIndex().entries }

    /// Lists an image in `index.json`, under a tag or under none. All else there stays as it is.
    ///
    /// - Parameters:
    ///   - tag: the name inside the layout, as in `oci:DIR:TAG`.
    ///   - fullName: with registry and repository, as containerd reads it; nil to leave it out.
    ///   - replace: whether the tag may move from another image.
    /// - Returns: false when the tag stood for that image already, and nothing was written.
    /// - Throws: `.conflict` when the tag stands for another image and `replace` is false.
    @discardableResult
    public func setTag(
        _ tag: String?, fullName: String? = nil, _ descriptor: Descriptor, replace: Bool = false
    ) throws -> Bool {
        try setTags([(tag, fullName)], descriptor, replace: replace)
    }

    /// Lists an image under several tags, or, when one of them is taken, under none.
    @discardableResult
    public func setTags(
        _ names: [(tag: String?, fullName: String?)], _ descriptor: Descriptor, replace: Bool = false
    ) throws -> Bool {
        try update { index in
            // Nothing is written when one throws.
            try names.map { try set($0.tag, $0.fullName, descriptor, replace, in: &index) }.contains(true)
        }
    }

    private func set(
        _ tag: String?, _ fullName: String?, _ descriptor: Descriptor, _ replace: Bool, in index: inout LayoutIndex
    ) throws -> Bool {
        var descriptor = descriptor
        descriptor.annotations[LayoutEntry.tagAnnotation] = tag
        descriptor.annotations[LayoutEntry.fullNameAnnotation] = fullName
        if let old = index.entries.first(where: { $0.tag == tag && (tag != nil || $0.names(descriptor)) }) {
            guard old.descriptor.digest != descriptor.digest else { return false }
            guard replace else { throw taken(tag ?? "", by: old.descriptor.digest, for: descriptor.digest) }
        }
        // A line without a name has served its purpose when its image gets one.
        index.removeAll { $0.tag == tag ? tag != nil : $0.tag == nil && $0.names(descriptor) }
        index.append(descriptor)
        return true
    }

    private func taken(_ tag: String, by old: Digest, for new: Digest) -> KapsuleError {
        KapsuleError(
            .conflict, id: "layout.tag-exists",
            "the tag '\(tag)' in \(path) is taken by \(old), and should become \(new)",
            remedy: "use --force to move it, or another tag")
    }

    /// Takes every line away that `condition` is true of.
    ///
    /// - Returns: those that went, in order.
    @discardableResult
    public func removeEntries(where condition: (LayoutEntry) -> Bool) throws -> [LayoutEntry] {
        var removed: [LayoutEntry] = []
        _ = try update { index in
            removed = index.entries.filter(condition)
            index.removeAll(where: condition)
            return !removed.isEmpty
        }
        return removed
    }

    /// Reads `index.json`, lets `change` change it and replaces it, with no other kapsule doing so meanwhile.
    ///
    /// - Parameter change: says whether there is anything to write.
    private func update(_ change: (inout LayoutIndex) throws -> Bool) throws -> Bool {
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        var index = try readIndex()
        guard try change(&index) else { return false }
        try AtomicFile.write(index.bytes, to: indexPath)
        return true
    }

    private func readIndex() throws -> LayoutIndex {
        // Another process may replace it while we read; we then have the old one, whole.
        let source = try FileSource(OpenFile.reading(indexPath), keepsItsName: false)
        let bytes = try source.readAll(limit: LayoutIndex.limit, what: indexPath)
        return try LayoutIndex(bytes, what: indexPath)
    }
}

extension LayoutEntry {
    fileprivate func names(_ other: Descriptor) -> Bool { descriptor.digest == other.digest }
}
