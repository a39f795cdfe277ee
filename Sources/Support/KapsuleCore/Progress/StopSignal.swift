internal import Synchronization

/// Ends the work of threads that have no task, and so no cancellation of their own.
///
/// Whatever a thread does inside `run` stops within a fraction of a second after `stop`, as a cancelled task's work does:
/// reads, transfers, and the waits between attempts.
public final class StopSignal: Sendable {
    @TaskLocal private static var current: StopSignal?
    private let isStopped = Atomic<Bool>(false)
    /// The signal under which this one was made.
    private let outer = StopSignal.current

    public init() {}

    public func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Runs `body` on this thread, under this signal.
    public func run<T>(_ body: () throws -> T) rethrows -> T { try Self.$current.withValue(self, operation: body) }

    private var isSet: Bool { isStopped.load(ordering: .relaxed) || outer?.isSet == true }

    /// Whether nobody wants any more what the calling thread or task does.
    public static var isUnwanted: Bool { Task.isCancelled || current?.isSet == true }
}

extension Task where Success == Never, Failure == Never {
    /// Called once a block by everything that moves bytes.
    ///
    /// - Throws: `.interrupted` when nobody wants any more what the calling thread or task does, as after Ctrl-C.
    public static func checkNotInterrupted() throws {
        if StopSignal.isUnwanted { throw KapsuleError(.interrupted, id: "interrupted", "interrupted") }
    }
}
