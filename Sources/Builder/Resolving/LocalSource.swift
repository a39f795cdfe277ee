public import KapsuleCore
internal import KapsuleIO
internal import Store

/// Files and directories that FROM, ADAPTER and DRAFT name by path.
struct LocalSource {
    /// Absolute, every link resolved.
    let context: String
    let rules: ContextRules
    let cache: DigestCache?
    /// Whether files keep the permission bits they have on disk.
    let keepsModes: Bool

    enum Found {
        case file(Assembly.Candidate)
        /// - Parameter root: absolute, every link resolved.
        case directory(root: String, DirectoryWalk.Found)
    }

    /// Nil when nothing of that name exists.
    ///
    /// - Throws: `.usage` for paths that climb out of the context, and for what is neither a file nor a directory.
    func find(_ text: String) throws -> Found? {
        let path = try absolute(text)
        guard let real = Directories.realPath(path), let status = try FileStatus.of(real, followsLinks: false) else {
            return nil
        }
        let isNamedOutright = text.hasPrefix("/") || text.hasPrefix("~")
        guard isNamedOutright || real == context || real.hasPrefix(context == "/" ? "/" : "\(context)/") else {
            throw KapsuleError(
                .usage, id: "source.outside-context",
                "'\(text)' leads to \(real), which is outside of the context \(context)",
                remedy: "give a directory above both as the context, or write the path absolute")
        }
        switch status.kind {
        case .regular:
            return .file(try candidate(real, status, at: try BundlePath(validating: Self.lastPart(real))))
        case .directory:
            return .directory(root: real, try DirectoryWalk(root: real, rules: try rules(for: real)).found())
        case .symbolicLink, .other:
            throw KapsuleError(
                .usage, id: "source.not-a-file", "'\(text)' is a device, a socket or a pipe",
                remedy: "name a file or a directory")
        }
    }

    /// A file of the disk as one of the model. Makes sure that it can be read.
    func candidate(_ real: String, _ status: FileStatus, at path: BundlePath) throws -> Assembly.Candidate {
        _ = try OpenFile.reading(real)
        let file = ModelBundle.File(
            path: path, role: Role.of(path), isExecutable: status.mode & 0o100 != 0,
            permissions: keepsModes ? status.mode : nil, source: ContextFile(path: real, status: status, cache: cache))
        return Assembly.Candidate(file: file, identity: real)
    }

    private func absolute(_ text: String) throws -> String {
        if text.hasPrefix("/") { return text }
        if text == "~" || text.hasPrefix("~/") { return try CurrentProcess.home() + text.dropFirst() }
        return "\(context)/\(text)"
    }

    /// The ignore file of the context holds for what lies in the context; its patterns start there.
    private func rules(for root: String) throws -> ContextRules {
        var rules = rules
        let isInside = root == context || root.hasPrefix("\(context)/")
        let ignored = try ContextRules.ignoreFile(in: isInside ? context : root)
        rules.ignore(ignored, below: isInside ? String(root.dropFirst(context.count + 1)) : "")
        return rules
    }

    static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "model" }
}

/// What a file is for, from its name.
public enum Role {
    public static func of(_ path: BundlePath) -> ModelBundle.Role {
        let name = path.name.lowercased()
        func ends(_ suffixes: String...) -> Bool { suffixes.contains(where: name.hasSuffix) }
        if name.hasPrefix("mmproj"), ends(".gguf") { return .projector }
        if name.hasPrefix("adapter_model") { return .adapter }
        if ends(".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".ckpt", ".h5", ".msgpack") { return .weights }
        if name.hasPrefix("tokenizer")
            || ["vocab.json", "vocab.txt", "merges.txt", "special_tokens_map.json"].contains(name)
            || ends(".tiktoken")
        {
            return .tokenizer
        }
        if name.hasPrefix("license") || name.hasPrefix("licence") || name == "notice" { return .license }
        if ends(".jinja") { return .template }
        if ends(".json", ".yaml", ".yml") { return .config }
        return .other
    }
}
