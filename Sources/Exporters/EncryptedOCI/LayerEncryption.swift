public import Encryption
public import KapsuleCore

/// For whom which files of a model are encrypted: the ENCRYPT lines, and `--encryption-key`.
public struct LayerEncryption: Sendable {
    public struct Rule: Sendable {
        public let recipient: Recipient
        /// Files it is about; empty for all.
        public let files: PathFilter

        public init(_ recipient: Recipient, files: PathFilter = PathFilter()) {
            self.recipient = recipient
            self.files = files
        }

        func takesIn(_ path: BundlePath) -> Bool { files.isEmpty || files.excludes(path) }
    }

    private let rules: [Rule]

    /// Nil without rules: nothing is encrypted then.
    public init?(_ rules: [Rule]) {
        guard !rules.isEmpty else { return nil }
        self.rules = rules
    }

    /// A model whose layers each have one set of recipients: nobody gets a file along with his own.
    ///
    /// - Throws: `.usage` for a file that would be stored in plaintext, because no rule takes it in.
    public func separating(_ bundle: ModelBundle) throws -> ModelBundle {
        for file in bundle.files where !rules.contains(where: { $0.takesIn(file.path) }) {
            throw KapsuleError(
                .usage, id: "encryption.uncovered",
                "'\(file.path)' would be stored in plaintext: encryption was asked for, and no ENCRYPT takes it in",
                remedy:
                    "add an ENCRYPT without patterns for whoever may read everything, or leave the file out with EXCLUDE"
            )
        }
        let lanes = bundle.lanes.flatMap { lane in
            var order: [[Int]] = []
            var groups: [[Int]: [Int]] = [:]
            for file in lane.files {
                let who = rules.indices.filter { rules[$0].takesIn(bundle.files[file].path) }
                if groups[who] == nil { order.append(who) }
                groups[who, default: []].append(file)
            }
            return order.map { ModelBundle.Lane(files: groups[$0] ?? []) }
        }
        return bundle.with(lanes: lanes)
    }

    /// Who may read a layer of these files.
    func recipients(of files: [BundlePath]) throws -> RecipientSet {
        let who = rules.filter { rule in files.contains(where: rule.takesIn) }.map(\.recipient)
        guard let set = RecipientSet(who), files.allSatisfy({ file in rules.contains { $0.takesIn(file) } }) else {
            throw KapsuleError(.defect, id: "encryption.uncovered", "a layer would have been stored in plaintext")
        }
        return set
    }

    /// Who may read the Modelfile, and layers that hold no file of the model: whoever may read everything; where there is
    /// nobody such, everybody.
    func commonRecipients(_ path: BundlePath? = nil) -> RecipientSet {
        let named = rules.filter { rule in rule.files.isEmpty || path.map(rule.takesIn) ?? false }
        guard let set = RecipientSet(named.map(\.recipient)) ?? RecipientSet(rules.map(\.recipient)) else {
            preconditionFailure("there is a rule")
        }
        return set
    }

    /// Asks whoever has to be asked, before a byte is moved.
    public func check() throws { try commonRecipients().check() }
}
