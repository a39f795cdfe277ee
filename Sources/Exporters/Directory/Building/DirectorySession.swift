import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import Synchronization

/// Where a file of the bundle goes.
struct PlacedFile: Sendable {
    /// Below the directory that is written to.
    let path: BundlePath
    /// The twelve permission bits.
    let mode: UInt32
}

/// What makes a directory of files complete, when each of them has its name.
protocol DirectoryClosing: Sendable {
    /// As the plan and errors name the output.
    var name: String { get }
    /// Refuses, before a byte of the model is read, what `close` could not do.
    func prepare(_ files: DirectoryFiles) throws
    /// - Parameter artifacts: the files, in the bundle's order.
    func close(_ files: DirectoryFiles, _ artifacts: [(path: String, artifact: Artifact)]) throws -> ExportReceipt
}

/// Files being written to a directory. They wait in a hidden folder until all are whole, then get their names.
final class DirectorySession: ExportSession {
    private let bundle: ModelBundle
    private let placed: [PlacedFile?]
    private let files: DirectoryFiles
    private let closing: any DirectoryClosing
    private let progress: any ProgressReporter
    /// What sources promised when the build began; they may find out more on the way.
    private let digests: [Digest?]
    private let state = Mutex(State())

    private struct State {
        /// Files that were there, and read, and right.
        var present: Set<Int> = []
        /// Files that came, and were what was promised.
        var finished: [Int: HeldFile.Place] = [:]
        /// Which file of the bundle has a place that several have.
        var owners: [BundlePath: Int] = [:]
    }

    /// - Parameter placed: one for each file of the bundle, nil where the output does not have it. Files of equal content may
    ///   have one place.
    /// - Throws: `.conflict` for a file that is there and cannot be the one that is to be written.
    init(
        _ bundle: ModelBundle, _ placed: [PlacedFile?], in path: String, replaces: Bool,
        _ progress: any ProgressReporter,
        _ closing: any DirectoryClosing
    ) throws {
        self.bundle = bundle
        self.placed = placed
        self.closing = closing
        self.progress = progress
        digests = bundle.files.map(\.source.digest)
        var promised: [Int: Digest] = [:]
        for (index, file) in bundle.files.enumerated() where !file.source.isWatched { promised[index] = digests[index] }
        files = DirectoryFiles(path, replaces: replaces, promised: promised)
        for (file, place) in zip(bundle.files, placed) {
            if let place { try files.checkFree(place.path, for: file.source.size) }
        }
        try closing.prepare(files)
    }

    var name: String { closing.name }
    var directory: String? { files.path }
    var needsFileDigests: Bool { zip(placed, digests).contains { $0 != nil && $1 == nil } }

    var size: Int64 {
        bundle.files.indices.reduce(0) { sum, index in
            guard let place = placed[index] else { return sum }
            return sum + files.missing(place.path, index: index, size: bundle.files[index].source.size)
        }
    }

    // MARK: Lanes

    func foresee(lane index: Int) -> Foresight { .reads }

    func open(lane index: Int) throws -> (any LaneSink)? {
        let lane = bundle.lanes[index].files.filter { placed[$0] != nil }
        try check(lane)
        let isComplete = state.withLock { $0.present.isSuperset(of: lane) }
        return isComplete ? nil : DirectoryLaneSink(self)
    }

    /// Finds the files that a run before this one has finished: they are read, for names and sizes prove nothing.
    private func check(_ lane: [Int]) throws {
        let present = state.withLock { $0.present }
        let candidates = try lane.filter { index in
            guard let place = placed[index], !present.contains(index), digests[index] != nil else { return false }
            return try files.existing(place.path, size: bundle.files[index].source.size) != nil
        }
        guard let first = candidates.first else { return }
        let more = candidates.count > 1 ? " and \(candidates.count - 1) more files" : ""
        let size = candidates.reduce(0) { $0 + bundle.files[$1].source.size }
        try progress.during("check \(bundle.files[first].path)\(more)", total: size) { activity in
            for index in candidates { try check(index, activity) }
        }
    }

    private func check(_ index: Int, _ activity: Activity) throws {
        let size = bundle.files[index].source.size
        guard let place = placed[index], let file = try files.existing(place.path, size: size) else { return }
        if try CountedHash.digest(of: FileSource(file), activity) == digests[index] {
            state.withLock { _ = $0.present.insert(index) }
        } else {
            try files.checkReplaceable(place.path)
        }
    }

    func salvaged(file index: Int) -> (any ByteSource)? {
        guard let place = placed[index] else { return nil }
        if state.withLock({ $0.present.contains(index) }) {
            let size = bundle.files[index].source.size
            return (try? files.existing(place.path, size: size)).flatMap { try? FileSource($0) }
        }
        return try? files.salvaged(index)
    }

    /// What the content of file `index` goes to; nil where it is there already.
    func hold(_ index: Int) throws -> HeldFile? {
        guard let place = placed[index] else { return nil }
        let isOwner = state.withLock { state in
            let owner = state.owners[place.path] ?? index
            state.owners[place.path] = owner
            return owner == index && !state.present.contains(index)
        }
        guard isOwner else { return nil }
        let source = bundle.files[index].source
        return try files.hold(place, index: index, size: source.size, comparesExisting: digests[index] == nil)
    }

    /// Makes `file` a clone of what it is to hold, where that is a local file and the file system can.
    func clone(_ index: Int, to file: HeldFile) throws -> Bool {
        let source = bundle.files[index].source
        // What is not watched has to pass by to be checked.
        return source.isWatched ? try file.clone(source) : false
    }

    func finish(_ held: [(index: Int, file: HeldFile)]) {
        state.withLock { state in
            for (index, file) in held { state.finished[index] = file.place }
        }
    }

    /// What came of file `index` was all of it, and not what was promised.
    func discard(_ index: Int) { files.discard(index) }

    // MARK: Commit

    func commit(_ artifacts: [Artifact?]) throws -> ExportReceipt {
        let state = state.withLock { $0 }
        var known: [(path: String, artifact: Artifact)] = []
        for (index, file) in bundle.files.enumerated() {
            guard let place = placed[index] else { continue }
            guard let artifact = artifacts[index] else {
                throw KapsuleError(.defect, id: "directory.unread", "\(file.path) was never read for \(name)")
            }
            known.append((file.path.text, artifact))
            if let held = state.finished[index] {
                try files.publish(held, as: place)
            } else if !state.present.contains(index), state.owners[place.path] ?? index == index {
                throw KapsuleError(.defect, id: "directory.missing", "\(file.path) never came for \(name)")
            }
        }
        let receipt = try closing.close(files, known)
        try files.removePartial()
        return receipt
    }
}

/// The files of one lane on their way to where they wait.
final class DirectoryLaneSink: RangeLaneSink {
    /// Bytes between two words of progress.
    private static let step: Int64 = 16 << 20

    let digestsFiles = false
    private let session: DirectorySession
    private var current: HeldFile?
    private var isCloned = false
    private var ended: [(index: Int, file: HeldFile)] = []
    /// A file whose bytes have all come and that nobody has compared with its digest yet.
    private var unproven: Int?

    init(_ session: DirectorySession) { self.session = session }

    func beginFile(_ index: Int) throws {
        unproven = nil
        current = try session.hold(index)
        isCloned = try current.map { try session.clone(index, to: $0) } ?? false
    }

    func write(_ bytes: Span<UInt8>) throws {
        if !isCloned { try current?.write(bytes) }
    }

    func take(_ source: any ByteSource, _ activity: Activity) throws {
        if isCloned || current == nil {
            activity.advance(by: Int(source.size))
        } else {
            for start in stride(from: Int64(0), to: source.size, by: Int64.Stride(Self.step)) {
                try Task.checkNotInterrupted()
                let range = start..<min(start + Self.step, source.size)
                try current?.append(SliceSource(source, range))
                activity.advance(by: Int(range.upperBound - range.lowerBound))
            }
        }
        // The kernel has copied it; a read of nothing makes the source ask whether it is still the same.
        var nothing = CountingSink()
        try source.read(source.size..<source.size, into: &nothing)
    }

    func endFile(_ index: Int) throws -> Digest? {
        try current?.end()
        if let current { ended.append((index, current)) }
        (current, unproven) = (nil, index)
        return nil
    }

    func finish() throws { session.finish(ended) }

    /// What has come of a file stays where a further run looks for it; but not a file that came out wrong.
    func abandon() {
        try? current?.end()
        if let unproven { session.discard(unproven) }
        (current, ended) = (nil, [])
    }
}
