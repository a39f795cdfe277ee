internal import Formats
internal import KapsuleCore
internal import KapsuleIO

/// `OUT/<name>/<revision>.mpk`, with `.info` and `.schema` beside it, as modelwrap has them. The info file is the record
/// that the image is complete, and is written last.
struct ModelwrapOutput: VerityOutput {
    let identity: ModelIdentity
    let directory: String
    private let schema: String
    private let replaces: Bool

    init(_ bundle: ModelBundle, _ profile: EROFS.Profile, in output: String, replaces: Bool) throws {
        identity = try ModelIdentity(bundle.identity)
        directory = "\(output)/\(identity.name)"
        schema = profile == .modelwrap1 ? "1" : "2"
        self.replaces = replaces
    }

    var title: String { path("mpk") }
    private func path(_ kind: String) -> String { "\(directory)/\(identity.revision).\(kind)" }

    func publish(_ image: UnnamedImage) throws -> ExportReceipt {
        // Two builds of one model give all their files their names one after the other.
        let lock = try FileLock(path("lock"), .exclusive)
        try withExtendedLifetime(lock) {
            let record = CommitRecord(path("info"), image.reference)
            try record.prepare(replaces: replaces)
            try image.file.commit(as: path("mpk"), existing: .replace)
            try AtomicFile.write(Array(schema.utf8), to: path("schema"))
            try record.write()
        }
        return ExportReceipt(
            identity: image.root, reference: image.reference,
            outputs: [(path("mpk"), Artifact(digest: image.root, size: image.size))], imagePath: path("mpk"))
    }
}

/// A name and a revision, as they make up paths.
struct ModelIdentity: Sendable {
    /// May hold slashes: `org/model`.
    let name: String
    let revision: String

    /// - Throws: `.usage` unless `text` is `NAME@REVISION`, of which both can be in a path.
    init(_ text: String) throws {
        func refuse(_ why: String) -> KapsuleError {
            KapsuleError(
                .usage, id: "verity.identity", "the model's identity '\(text)' cannot name an output: \(why)",
                remedy: "give another one with --model-id NAME@REVISION")
        }
        guard let at = text.lastIndex(of: "@") else { throw refuse("it has no '@'") }
        name = String(text[..<at])
        revision = String(text[text.index(after: at)...])
        guard !text.contains(where: \.isNewline) else { throw refuse("it holds a line break") }
        do {
            // With the longest ending that comes behind it.
            _ = try BundlePath(validating: "\(name)/\(revision).emwp.info")
        } catch { throw refuse("'\(name)/\(revision)' \(error.reason)") }
        guard !revision.isEmpty else { throw refuse("its revision is empty") }
        guard !revision.contains("/") else { throw refuse("its revision holds '/'") }
    }
}

/// The file whose presence says that an output is whole, and which one it is.
struct CommitRecord {
    private let path: String
    private let reference: String

    init(_ path: String, _ reference: String) {
        self.path = path
        self.reference = reference
    }

    /// Takes an older record away, so that none stands beside an image that it does not describe.
    ///
    /// - Throws: `.conflict` when it describes another image and may not be replaced.
    func prepare(replaces: Bool) throws {
        guard try FileStatus.of(path, followsLinks: false) != nil else { return }
        let known = try FileSource(path: path).readAll(limit: 4096, what: path)
        guard replaces || known == Array(reference.utf8) else {
            throw KapsuleError(
                .conflict, id: "output.exists",
                "\(path) describes another image: \(String(decoding: known, as: UTF8.self))",
                remedy: "use --force to replace it, or write elsewhere with --output")
        }
        try Directories.removeFile(path)
    }

    func write() throws { try AtomicFile.write(Array(reference.utf8), to: path) }
}
