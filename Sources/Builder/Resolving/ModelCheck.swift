internal import Formats
public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
public import ModelfileParser
internal import Store
internal import Synchronization

/// Looks whether a model's files are what they claim to be, by their headers: before anything is made of them.
public struct ModelCheck: Sendable {
    /// Part of the cache's key: a check that finds more has another name.
    private static let version = "headers-1"

    /// What the build leaves out, so that a missing part is known to be meant.
    private let rules: ContextRules
    private let cache: DigestCache?
    private let concurrency: Int

    /// - Parameter cache: knows files that were checked before.
    init(rules: ContextRules, cache: DigestCache?, concurrency: Int) {
        self.rules = rules
        self.cache = cache
        self.concurrency = concurrency
    }

    /// Checks every file of weights, and every index of a split model.
    ///
    /// - Returns: warnings: of checkpoints that run code, of parts that were left out.
    /// - Throws: `.unverified` naming the first damaged file and what is wrong with it.
    public func check(_ bundle: ModelBundle) async throws -> [String] {
        let found = Mutex<[Int: Result<Finding, KapsuleError>]>([:])
        try await forEach(bundle.files.indices, limit: concurrency) { index in
            let result = try Self.caught { try finding(bundle.files[index]) }
            found.withLock { $0[index] = result }
        }
        let results = found.withLock { $0 }.sorted { $0.key < $1.key }.map(\.value)
        var findings: [Finding] = []
        var failures: [KapsuleError] = []
        for result in results {
            switch result {
            case .success(let finding): findings.append(finding)
            case .failure(let error): failures.append(error)
            }
        }
        if let first = failures.first { throw Self.refusal(first, others: failures.count - 1) }
        let checkpoints = findings.compactMap { finding in finding.checkpoint.map { (finding.path, $0) } }
        return Checkpoint.grouped(checkpoints).map { "\($0.subject); \($0.advice)" } + findings.compactMap(\.warning)
            + (try checkIndexes(bundle))
    }

    /// Damage is collected; anything else stops the check.
    private static func caught<Value>(_ body: () throws -> Value) throws -> Result<Value, KapsuleError> {
        do {
            return .success(try body())
        } catch let error as KapsuleError where error.code == .unverified {
            return .failure(error)
        }
    }

    private static func refusal(_ first: KapsuleError, others: Int) -> KapsuleError {
        var error = first
        if others > 0 {
            error.message += "; and \(others) more of the model's files \(others == 1 ? "is" : "are") damaged"
        }
        error.remedy = (error.remedy.map { "\($0); " } ?? "") + "--no-check builds it as it is"
        return error
    }

    // MARK: One file

    private struct Finding: Sendable {
        let path: BundlePath
        var checkpoint: Checkpoint?
        var warning: String?
    }

    private func finding(_ file: ModelBundle.File) throws -> Finding {
        var finding = Finding(path: file.path)
        let isDocument = file.path.name == "config.json"
        guard isDocument || Self.mayBeWeights(file), !isKnown(file) else { return finding }
        do {
            let read = try Self.fetched(file) {
                try ModelFile.read(file.source, name: file.path.name, what: file.path.text)
            }
            switch read {
            case .gguf, .safetensors: remember(file)
            case .checkpoint(let checkpoint): finding.checkpoint = checkpoint
            // The parts of an index are looked at elsewhere.
            case .config where isDocument: remember(file)
            case .index, .config, .tokenizerConfig, .generationConfig, .tokenizer, .other: break
            }
        } catch let error as KapsuleError
            where error.code == .unverified && !error.id.hasPrefix("weights.")
            && (isDocument || file.role == .tokenizer)
        {
            finding.warning = "\(error.message): transformers and vLLM will not load this model"
        }
        return finding
    }

    /// Runs `body`, which reads the beginning of a file, a second time where the file came from afar and looks damaged: what
    /// broke it may have been the way here.
    private static func fetched<Value>(_ file: ModelBundle.File, _ body: () throws -> Value) throws -> Value {
        guard let digest = file.source.digest, file.source.place != .here else { return try body() }
        do {
            return try body()
        } catch let error as KapsuleError where error.code == .unverified {
            file.source.distrust()
        }
        do {
            return try body()
        } catch var error as KapsuleError where error.code == .unverified {
            error.message += "; it was fetched twice, and its source says that all of it is \(digest)"
            throw error
        }
    }

    /// Weights by name, and whatever is short enough for the pointer that Git LFS leaves in place of a tokenizer.
    private static func mayBeWeights(_ file: ModelBundle.File) -> Bool {
        switch file.role {
        case .weights, .adapter, .projector: !file.path.name.hasSuffix(".json")
        case .tokenizer: file.source.size < 1024
        case .config, .template, .license, .other: false
        }
    }

    private func isKnown(_ file: ModelBundle.File) -> Bool {
        guard let digest = file.source.digest else { return false }
        return cache?.hasPassed(Self.version, digest) ?? false
    }

    private func remember(_ file: ModelBundle.File) {
        guard let digest = file.source.digest else { return }
        cache?.recordPassed(Self.version, digest)
    }

    // MARK: Split models

    private func checkIndexes(_ bundle: ModelBundle) throws -> [String] {
        var warnings: [String] = []
        for file in bundle.files where ShardIndex.isOne(file.path.name) {
            let result = try Self.caught { try check(index: file, bundle) }
            switch result {
            case .success(let found): warnings += found
            case .failure(let error): throw Self.refusal(error, others: 0)
            }
        }
        return warnings
    }

    private func check(index file: ModelBundle.File, _ bundle: ModelBundle) throws -> [String] {
        if let key = key(of: file, bundle), cache?.hasPassed(Self.version, key) == true { return [] }
        let index = try ShardIndex(reading: file.source, what: file.path.text)
        let directory = String(file.path.text.dropLast(file.path.name.utf8.count))
        var leftOut: [String] = []
        for (number, shard) in index.shards.enumerated() {
            guard let part = bundle.files.first(where: { $0.path.text == directory + shard }) else {
                guard let path = try? BundlePath(validating: directory + shard), !rules.admits(path) else {
                    throw KapsuleError(
                        .unverified, id: "index.missing-shard",
                        "\(file.path) needs '\(Printable.text(directory + shard))', which is not part of the model",
                        remedy: "fetch that file as well, or leave it out on purpose with EXCLUDE")
                }
                leftOut.append(shard)
                continue
            }
            try check(part, holds: index, number, file)
        }
        if let first = leftOut.first {
            let more = leftOut.count > 1 ? " and \(leftOut.count - 1) more" : ""
            return [
                "\(file.path) needs \(Printable.text(first))\(more), which the build leaves out: the model is not whole"
            ]
        }
        if let key = key(of: file, bundle) { cache?.recordPassed(Self.version, key) }
        return []
    }

    /// Whether the part has every tensor that the index says it has.
    private func check(_ part: ModelBundle.File, holds index: ShardIndex, _ number: Int, _ file: ModelBundle.File)
        throws
    {
        guard part.path.name.hasSuffix(".safetensors") else { return }
        let names = try Self.fetched(part) {
            Set(try Safetensors(reading: part.source, what: part.path.text).tensors.map(\.name))
        }
        guard let missing = index.tensors.first(where: { $0.shard == number && !names.contains($0.name) }) else {
            return
        }
        throw KapsuleError(
            .unverified, id: "index.missing-tensor",
            "\(part.path) does not hold the tensor '\(Printable.text(missing.name.prefix(100)))', which \(file.path) says it has",
            remedy: "the two are of different models, or one is damaged: fetch both again")
    }

    /// Of an index with all its parts; nil where the digest of one is not known yet.
    private func key(of file: ModelBundle.File, _ bundle: ModelBundle) -> Digest? {
        let directory = String(file.path.text.dropLast(file.path.name.utf8.count))
        let parts = bundle.files.filter { $0.path.text.hasPrefix(directory) && $0.role == .weights }
        let digests = ([file] + parts).map(\.source.digest)
        guard digests.allSatisfy({ $0 != nil }) else { return nil }
        return Digest.of(digests.compactMap { $0?.hex }.joined(separator: "\n"))
    }
}

extension ModelResolver {
    /// The check of what this resolver resolved.
    public func check(of modelfile: Modelfile, concurrency: Int) throws -> ModelCheck {
        var rules = rules.adding(modelfile.excludePatterns)
        rules.ignore(try ContextRules.ignoreFile(in: context), below: "")
        return ModelCheck(rules: rules, cache: cache, concurrency: concurrency)
    }
}
