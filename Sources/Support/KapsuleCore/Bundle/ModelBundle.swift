/// A model seen from outside: an immutable view whose bytes are still wherever they were.
public struct ModelBundle: Sendable {
    public struct File: Sendable {
        public let path: BundlePath
        public let role: Role
        /// Whether the owner may execute it; decides 0755 or 0644 where an output has modes.
        public let isExecutable: Bool
        /// The source's twelve permission bits, where they are to be kept; nil where modes are normalised.
        public let permissions: UInt32?
        public let source: any ByteSource
        /// Where this is a part of a file that is too large for one layer; nil for a whole file.
        public let part: Part?

        public init(
            path: BundlePath, role: Role, isExecutable: Bool = false, permissions: UInt32? = nil,
            source: any ByteSource, part: Part? = nil
        ) {
            self.part = part
            self.path = path
            self.role = role
            self.isExecutable = isExecutable
            self.permissions = permissions
            self.source = source
        }

        /// The same file, its bytes from somewhere else.
        public func with(source: any ByteSource) -> File {
            File(
                path: path, role: role, isExecutable: isExecutable, permissions: permissions, source: source, part: part
            )
        }

        /// What its bytes are, where somebody vouches for them.
        public var known: Artifact? { source.digest.map { Artifact(digest: $0, size: source.size) } }
    }

    /// Which part of which file.
    public struct Part: Sendable, Hashable {
        /// Of the whole file.
        public let path: BundlePath
        /// Of the whole file.
        public let whole: Artifact
        /// From 1.
        public let number: Int
        public let count: Int

        public init(of path: BundlePath, _ whole: Artifact, number: Int, of count: Int) {
            self.path = path
            self.whole = whole
            self.number = number
            self.count = count
        }

        /// What its digest is remembered under, to be hashed.
        public func key(size: Int64) -> String { "part-1 \(whole.digest) \(number) \(count) \(size)" }

        /// Where a part is in an image: `model.bin.part-0002-of-0003`.
        public static func path(of whole: BundlePath, number: Int, of count: Int) throws -> BundlePath {
            func padded(_ value: Int) -> String {
                String(repeating: "0", count: max(0, 4 - "\(value)".count)) + "\(value)"
            }
            return try BundlePath(validating: "\(whole).part-\(padded(number))-of-\(padded(count))")
        }
    }

    public enum Role: String, Sendable {
        case weights, adapter, projector, tokenizer, config, template, license, other
    }

    /// Files that are moved together, in order, as one stream: all the small ones, or one large one.
    public struct Lane: Sendable, Hashable {
        /// Indices into `files`, ascending.
        public let files: [Int]

        public init(files: [Int]) { self.files = files }
    }

    /// `NAME@REVISION`, as derived identities (UUIDs, salts) use it.
    public let identity: String
    /// What the Modelfile said of the model.
    public let card: ModelCard
    /// The card as canonical Modelfile text, in UTF-8: what travels with the model.
    public let modelfile: [UInt8]
    /// Where the model came from, as annotations and labels name it.
    public let origin: Origin
    /// Ascending by the paths' bytes, so that every exporter sees one order.
    public let files: [File]
    /// Every file in exactly one lane; the lane of small files first.
    public let lanes: [Lane]
    /// The twelve permission bits of directories, where they are to be kept; the root is the empty path.
    public let directoryPermissions: [String: UInt32]
    private let factsSource: ModelFactsSource?

    public init(
        identity: String, card: ModelCard, modelfile: [UInt8], origin: Origin, files: [File], lanes: [Lane],
        directoryPermissions: [String: UInt32] = [:], facts: ModelFactsSource? = nil
    ) {
        precondition(zip(files, files.dropFirst()).allSatisfy { $0.path < $1.path }, "files ascend by path")
        precondition(lanes.flatMap(\.files).sorted() == Array(files.indices), "every file is in one lane")
        self.identity = identity
        self.card = card
        self.modelfile = modelfile
        self.origin = origin
        self.files = files
        self.lanes = lanes
        self.directoryPermissions = directoryPermissions
        factsSource = facts
    }

    /// What the model's files say of it. Reads their headers when it is first asked, which for a remote source is a
    /// request for each.
    ///
    /// - Throws: `.unverified` for files that are damaged, and what reading them throws.
    public func facts() throws -> ModelFacts { try factsSource?.facts() ?? ModelFacts() }

    /// The same model, its files in other lanes.
    public func with(lanes: [Lane]) -> ModelBundle { with(files: files, lanes: lanes) }

    /// The same model in other files: what was one is several, or several are one. What is known of the model stays.
    public func with(files: [File], lanes: [Lane]) -> ModelBundle {
        ModelBundle(
            identity: identity, card: card, modelfile: modelfile, origin: origin, files: files, lanes: lanes,
            directoryPermissions: directoryPermissions, facts: factsSource)
    }

    /// The same model under another identity, with what was found out of its files' digests.
    ///
    /// - Parameters:
    ///   - digests: one for each file, in their order.
    ///   - origin: where it came from; nil for where it is known to come from.
    public func identified(as identity: String, digests: [Digest?], origin: Origin? = nil) -> ModelBundle {
        let known = zip(files, digests).map { file, digest in
            file.with(source: digest.map { KnownSource(file.source, digest: $0) } ?? file.source)
        }
        return ModelBundle(
            identity: identity, card: card, modelfile: modelfile, origin: origin ?? self.origin, files: known,
            lanes: lanes, directoryPermissions: directoryPermissions, facts: factsSource)
    }

    /// Sum of the files' sizes, in bytes.
    public var size: Int64 { files.reduce(0) { $0 + $1.source.size } }
}

/// Where a model came from. Empty for a local directory: a path of one machine is nobody else's business.
public struct Origin: Sendable, Hashable {
    /// As `org.opencontainers.image.source` holds it: a URL.
    public var url: String?
    /// As `org.opencontainers.image.revision` holds it: a commit or a digest.
    public var revision: String?
    /// As `org.opencontainers.image.title` holds it: `Qwen/Qwen3-0.6B`.
    public var title: String?
    /// As `org.opencontainers.image.licenses` holds it: an SPDX expression.
    public var licenses: String?
    /// Whether it was a model of Ollama's: one that is complete as it is.
    public var isOllamas = false

    public init(url: String? = nil, revision: String? = nil, title: String? = nil, licenses: String? = nil) {
        self.url = url
        self.revision = revision
        self.title = title
        self.licenses = licenses
    }
}

/// What a Modelfile says of a model, beside its files.
public struct ModelCard: Sendable, Hashable {
    public struct Parameter: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public struct Message: Sendable, Hashable {
        /// `system`, `user` or `assistant`.
        public var role: String
        public var text: String
        public init(role: String, text: String) {
            self.role = role
            self.text = text
        }
    }

    /// By name; the values of `stop` in the order they were given.
    public var parameters: [Parameter] = []
    public var template: String?
    public var system: String?
    public var licenses: [String] = []
    public var messages: [Message] = []
    public var renderer: String?
    public var parser: String?
    /// The oldest Ollama version that can run the model, without a leading `v`.
    public var requires: String?

    public init() {}
}
