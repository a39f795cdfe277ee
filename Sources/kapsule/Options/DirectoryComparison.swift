internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import Synchronization

/// A directory compared with the model in an image, file by file.
struct DirectoryComparison {
    let directory: String
    /// What the directory should hold.
    let bundle: ModelBundle
    /// Whether the Modelfile has to be there; where only some files were taken it may be missing.
    let needsModelfile: Bool
    let concurrency: Int
    let progress: any ProgressReporter

    /// How a file differs.
    enum Difference: String, Sendable {
        case missing, extra, changed
        /// The same bytes, but not whether the owner may execute it.
        case mode
    }

    /// - Returns: every difference, by path, and how many files were looked for.
    func run() async throws -> (differences: [(path: String, difference: Difference)], count: Int) {
        var expected = self.expected
        let there = try found()
        if !needsModelfile, there["Modelfile"] == nil { expected["Modelfile"] = nil }
        var differences: [String: Difference] = [:]
        for path in there.keys where expected[path] == nil { differences[path] = .extra }
        for path in expected.keys where there[path] == nil { differences[path] = .missing }
        let both = expected.keys.filter { there[$0] != nil }.sorted()
        let compared = try await compare(both.compactMap { expected[$0] }, there)
        for (path, difference) in zip(both, compared) where difference != nil { differences[path] = difference }
        let sorted = differences.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return (sorted.map { ($0.key, $0.value) }, expected.count)
    }

    /// A file as the image has it.
    private struct Expected: Sendable {
        let path: String
        let source: any ByteSource
        let isExecutable: Bool
    }

    private var expected: [String: Expected] {
        var expected: [String: Expected] = [:]
        for file in bundle.files {
            expected[file.path.text] = Expected(
                path: file.path.text, source: file.source, isExecutable: file.isExecutable)
        }
        let modelfile = MemorySource(bundle.modelfile, digest: Digest.of(bundle.modelfile))
        expected["Modelfile"] = Expected(path: "Modelfile", source: modelfile, isExecutable: false)
        return expected
    }

    /// Everything below the directory that is no directory itself. Links are not followed.
    private func found() throws -> [String: FileStatus] {
        var found: [String: FileStatus] = [:]
        var waiting = [""]
        while let prefix = waiting.popLast() {
            for name in try Directories.names(in: prefix.isEmpty ? directory : "\(directory)/\(prefix)") {
                let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
                guard let status = try FileStatus.of("\(directory)/\(path)", followsLinks: false) else { continue }
                if status.kind == .directory { waiting.append(path) } else { found[path] = status }
            }
        }
        return found
    }

    private func compare(_ files: [Expected], _ there: [String: FileStatus]) async throws -> [Difference?] {
        let (directory, progress) = (directory, progress)
        let results = Mutex<[Int: Difference]>([:])
        try await forEach(Array(files.enumerated()), limit: concurrency) { index, file in
            guard let status = there[file.path],
                let difference = try Self.difference(file, status, in: directory, progress)
            else { return }
            results.withLock { $0[index] = difference }
        }
        return results.withLock { found in files.indices.map { found[$0] } }
    }

    private static func difference(
        _ file: Expected, _ status: FileStatus, in directory: String, _ progress: any ProgressReporter
    ) throws -> Difference? {
        guard status.kind == .regular, status.size == file.source.size else { return .changed }
        let isSame = try progress.during("verify \(file.path)", total: status.size) { activity in
            let wanted = try file.source.digest ?? digest(of: file.source, nil)
            return try digest(of: FileSource(path: "\(directory)/\(file.path)"), activity) == wanted
        }
        guard isSame else { return .changed }
        return (status.mode & 0o100 != 0) == file.isExecutable ? nil : .mode
    }

    private static func digest(of source: any ByteSource, _ activity: Activity?) throws -> Digest {
        try CountedHash.digest(of: source, activity)
    }
}
