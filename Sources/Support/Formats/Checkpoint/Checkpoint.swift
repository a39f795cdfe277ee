public import KapsuleCore

/// A file of PyTorch weights, told and looked into without loading it: loading runs what the file says.
///
/// Source: PyTorch `torch/serialization.py`, `caffe2/serialize/inline_container.cc`.
public struct Checkpoint: Sendable, Hashable {
    public enum Form: String, Sendable {
        /// A ZIP archive with a pickle and the tensors beside it, since PyTorch 1.6.
        case zip
        /// The same with code: TorchScript.
        case torchScript
        /// Pickles behind one another, before PyTorch 1.6.
        case legacy
        /// A pickle that is no checkpoint of PyTorch.
        case pickle
        /// The oldest form of PyTorch.
        case tar
    }

    public let form: Form
    /// What loading it imports: `module.name`, in the order of the file.
    public let imports: [String]
    /// Whether it imports something whose name cannot be told from outside.
    public let hidesImports: Bool
    /// Tensors beside the pickle, in bytes; nil where they are within.
    public let tensorSize: Int64?

    /// Of those imports the ones that tensors do not need, as PyTorch with `weights_only` sees it.
    public var unusualImports: [String] { imports.filter { !PickleImports.isUsual($0) } }
    /// Of those imports the ones that run programs, read files or open connections.
    public var dangerousImports: [String] { imports.filter(PickleImports.isDangerous) }

    /// What makes loading it a risk, for people: what the warnings of `build` and `lint` say.
    public var risk: String {
        let dangerous = dangerousImports
        if !dangerous.isEmpty { return "loading it runs \(Self.listed(dangerous))" }
        if hidesImports { return "loading it runs code whose names it hides" }
        let unusual = unusualImports
        if !unusual.isEmpty { return "loading it runs code; beside tensors it needs \(Self.listed(unusual))" }
        return "loading it may run code"
    }

    /// What to do about it.
    public var advice: String {
        dangerousImports.isEmpty && !hidesImports
            ? "convert it to safetensors" : "do not load it; get the model as safetensors, from somebody you trust"
    }

    private static func listed(_ names: [String]) -> String {
        let shown = names.prefix(5).map { Printable.text($0.prefix(100)) }.joined(separator: ", ")
        return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
    }

    // MARK: Reading

    private static let legacyMagic: [UInt8] = [
        0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]

    /// Reads what tells the file's form, and its pickles. Tensors are not read.
    ///
    /// - Parameters:
    ///   - head: its first 512 bytes, or all of a shorter one.
    ///   - what: names the file in errors.
    ///   - isExpected: whether its name says that it is one. Two bytes that begin a pickle may begin any other file.
    /// - Returns: nil for a file that is none.
    /// - Throws: `.unverified` for one that is damaged.
    public static func read(
        _ source: any ByteSource, head: [UInt8], what: String, isExpected: Bool = true
    ) throws -> Checkpoint? {
        if head.starts(with: [0x50, 0x4B, 3, 4]) { return try readArchive(source, what) }
        if head.starts(with: legacyMagic) { return try readPickles(source, .legacy, count: 5, what) }
        if head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) {
            return isExpected ? try readPickles(source, .pickle, count: 1, what) : try readSuspect(source, what)
        }
        if head.count >= 262, head[257..<262].elementsEqual("ustar".utf8), isOldest(head) {
            return Checkpoint(form: .tar, imports: [], hidesImports: true, tensorSize: nil)
        }
        return nil
    }

    /// Whether a tar's first member is one of those four.
    private static func isOldest(_ head: [UInt8]) -> Bool {
        let name = String(decoding: head[..<100].prefix { $0 != 0 }, as: UTF8.self)
        return ["sys_info", "pickle", "storages", "tensors"].contains(name)
    }

    private static func readPickles(_ source: any ByteSource, _ form: Form, count: Int, _ what: String) throws
        -> Checkpoint
    {
        var scanner = PickleScanner(
            SourceCursor(source, what: what, format: "checkpoint", limit: source.size), part: "its pickle")
        for _ in 0..<count { try scanner.scan() }
        return Checkpoint(
            form: form, imports: scanner.imports, hidesImports: scanner.hidesImports, tensorSize: nil)
    }

    /// What may be a pickle by chance. One that breaks off runs what came before, so its imports count all the same.
    private static func readSuspect(_ source: any ByteSource, _ what: String) throws -> Checkpoint? {
        var scanner = PickleScanner(
            SourceCursor(source, what: what, format: "checkpoint", limit: source.size), part: "its pickle")
        var isWhole = true
        do {
            try scanner.scan()
        } catch let error as KapsuleError where error.code == .unverified {
            isWhole = false
        }
        guard isWhole || !scanner.imports.isEmpty || scanner.hidesImports else { return nil }
        return Checkpoint(
            form: .pickle, imports: scanner.imports, hidesImports: scanner.hidesImports || !isWhole, tensorSize: nil)
    }

    private static func readArchive(_ source: any ByteSource, _ what: String) throws -> Checkpoint? {
        let archive = try ZipDirectory(reading: source, what: what)
        let pickles = archive.entries.filter { $0.name.hasSuffix(".pkl") }
        guard let main = pickles.first(where: { isMain($0.name) }) else { return nil }
        let top = String(main.name.dropLast("data.pkl".utf8.count))
        guard archive.entries.contains(where: { $0.name == "\(top)version" || $0.name == "\(top).data/version" }) else {
            return nil
        }
        var (imports, hides): ([String], Bool) = ([], pickles.count > mostPickles)
        for pickle in pickles.prefix(mostPickles) {
            // One that is packed is one that nobody was to look into: PyTorch never packs.
            guard let range = try archive.content(of: pickle) else {
                hides = true
                continue
            }
            let slice = SliceSource(source, range)
            let name = Printable.text(pickle.name.prefix(100))
            var scanner = PickleScanner(
                SourceCursor(slice, what: what, format: "checkpoint", limit: slice.size), part: "its member '\(name)'")
            try scanner.scan()
            imports += scanner.imports.filter { !imports.contains($0) }
            hides = hides || scanner.hidesImports
        }
        let isScript = archive.entries.contains { $0.name == "\(top)constants.pkl" }
        let tensors = archive.entries.filter { $0.name.hasPrefix("\(top)data/") }
        return Checkpoint(
            form: isScript ? .torchScript : .zip, imports: imports, hidesImports: hides,
            tensorSize: tensors.reduce(0) { $0.addingReportingOverflow($1.size).partialValue })
    }

    /// Pickles of one archive that are looked into: it has two at most.
    private static let mostPickles = 8

    private static func isMain(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[1] == "data.pkl" && !parts[0].isEmpty
    }
}
