internal import KapsuleCore
internal import OCI
internal import Store

extension ImageStore {
    /// Gives an image all its names, or none: a name that another image has is found out first.
    func tag(_ references: [Reference], _ descriptor: Descriptor, replace: Bool) throws {
        guard !references.isEmpty else { return _ = try layout.setTag(nil, descriptor, replace: replace) }
        for reference in references where !replace {
            guard let present = try self.descriptor(for: reference), present.digest != descriptor.digest else {
                continue
            }
            throw KapsuleError(
                .conflict, id: "store.tag-exists",
                "\(reference) exists in the local store and is another image (\(present.digest))",
                remedy: "use another tag, or --force to replace it")
        }
        for reference in references { try tag(reference, descriptor, replace: replace) }
    }
}
