public import KapsuleCore
public import ModelfileParser

/// A model that FROM names and that is no path of the context: what the hub, a registry, a store or git have of it.
public struct FoundModel: Sendable {
    /// A file that wants to be part of the model.
    public struct Candidate: Sendable {
        public let file: ModelBundle.File
        /// What tells whether two candidates are the same file: a real path, a digest.
        public let identity: String

        public init(file: ModelBundle.File, identity: String) {
            self.file = file
            self.identity = identity
        }
    }

    /// For the identity: `Qwen/Qwen3-0.6B`, the name of an image.
    public let name: String
    /// What cannot move: a commit, a manifest's digest.
    public let revision: String?
    public let origin: Origin
    /// Only files that are wanted.
    public let candidates: [Candidate]
    /// What the model says of itself; nil for one without a Modelfile.
    public let modelfile: Modelfile?

    public init(
        name: String, revision: String?, origin: Origin = Origin(), candidates: [Candidate], modelfile: Modelfile? = nil
    ) {
        self.name = name
        self.revision = revision
        self.origin = origin
        self.candidates = candidates
        self.modelfile = modelfile
    }
}
