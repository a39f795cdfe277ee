internal import KapsuleCore
internal import ModelfileParser

/// A model being put together from its FROM, ADAPTER and DRAFT lines.
struct Assembly {
    let rules: ContextRules
    private(set) var files: [BundlePath: ModelBundle.File] = [:]
    private(set) var sources: [PinnedSource] = []
    /// What an image in FROM says of the model; the Modelfile's own lines come on top.
    var inherited = ModelCard()
    var origin = Origin()
    /// For the identity: the last part of the first source's name.
    private(set) var name: String?
    private(set) var revision: String?
    /// FROM, ADAPTER and DRAFT lines of the canonical Modelfile, which lies beside the files.
    private(set) var canonical: [(word: InstructionWord, path: String)] = []
    /// The twelve permission bits of directories, by path; empty where modes are normalised.
    private(set) var directoryPermissions: [String: UInt32] = [:]
    /// Where a file on disk already has its place in the model.
    private var placed: [String: BundlePath] = [:]
    private var comesFrom: [BundlePath: String] = [:]

    init(rules: ContextRules) { self.rules = rules }

    typealias Candidate = FoundModel.Candidate

    /// Adds what one line of the Modelfile contributes.
    ///
    /// - Throws: `.usage` when two different files claim one path.
    mutating func add(
        _ candidates: [Candidate], named name: String, revision: String? = nil, reference: String, span: SourceSpan
    ) throws {
        var paths: Set<BundlePath> = []
        // Two links to one file, in one directory, are two files of the model; a file that two lines name is one.
        let placedBefore = placed
        for candidate in candidates {
            if let path = placedBefore[candidate.identity] {
                paths.insert(path)
                continue
            }
            let path = candidate.file.path
            if let other = comesFrom[path] {
                throw KapsuleError(
                    .usage, id: "source.path-twice",
                    "two files want to be '\(path)' in the model: one of \(other), one of \(reference)",
                    remedy: "leave one out with EXCLUDE, or rename it", at: span)
            }
            files[path] = candidate.file
            placed[candidate.identity] = path
            comesFrom[path] = reference
            paths.insert(path)
        }
        if self.name == nil {
            self.name = name
            self.revision = revision
        }
        sources.append(PinnedSource(reference: reference, revision: revision, files: paths, span: span))
    }

    /// - Parameter prefix: where the directories are in the model; empty, or ending in `/`.
    mutating func keep(_ permissions: [String: UInt32], below prefix: String) {
        for (path, mode) in permissions {
            let place = path.isEmpty ? String(prefix.dropLast()) : prefix + path
            directoryPermissions[place] = directoryPermissions[place] ?? mode
        }
    }

    /// The place of a file that was added before.
    func path(of identity: String) -> BundlePath? { placed[identity] }

    /// - Parameter path: relative to the model, or `.` for all of it.
    mutating func mention(_ word: InstructionWord, _ path: String) {
        let text = path == "." ? "." : "./\(path)"
        if !canonical.contains(where: { $0.word == word && $0.path == text }) { canonical.append((word, text)) }
    }
}

extension Assembly {
    /// Where FROM's rules and the lines of an image's own Modelfile end up.
    mutating func inherit(_ modelfile: Modelfile?) {
        guard let modelfile else { return mention(.from, ".") }
        inherited = modelfile.card
        for instruction in modelfile.instructions {
            switch instruction.word {
            case .from, .adapter, .draft: mention(instruction.word, Self.withoutDot(instruction.value))
            default: break
            }
        }
    }

    /// `./lora` as `lora`; `.` stays.
    private static func withoutDot(_ path: String) -> String { path.hasPrefix("./") ? String(path.dropFirst(2)) : path }

    /// Where the files of a directory are in the model, when FROM had brought them already.
    func directory(of candidates: [Candidate], in entries: [DirectoryWalk.Entry]) -> String? {
        guard let first = candidates.first, let entry = entries.first, let path = path(of: first.identity) else {
            return nil
        }
        let tail = "/\(entry.path)"
        return path.text.hasSuffix(tail) ? String(path.text.dropLast(tail.utf8.count)) : nil
    }

    /// Files and directories of adapters and draft models.
    var pathsBeside: [String] {
        canonical.filter { $0.word != .from }.map { Self.withoutDot($0.path) }
    }

    /// The Modelfile that travels with the model: the card, and paths that hold beside it.
    func canonicalText(_ card: ModelCard) throws -> String {
        func paths(_ word: InstructionWord) -> [String] { canonical.filter { $0.word == word }.map(\.path) }
        let from = paths(.from)
        // All of the directory includes each file of it.
        return try Modelfile.synthesised(
            card: card, from: from.contains(".") ? ["."] : from, adapters: paths(.adapter), drafts: paths(.draft))
    }
}
