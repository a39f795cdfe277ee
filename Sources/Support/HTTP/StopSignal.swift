internal import Synchronization

/// Ends the requests of threads that have no task, and so no cancellation of their own.
///
/// Whatever a thread does inside `run` stops within a fraction of a second after `stop`, as a cancelled task's requests
/// do: transfers, and the waits between attempts.
final class StopSignal: Sendable {
    @TaskLocal private static var current: StopSignal?
    private let isStopped = Atomic<Bool>(false)
    /// The signal under which this one was made.
    private let outer = StopSignal.current

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Runs `body` on this thread, under this signal.
    func run<T>(_ body: () throws -> T) rethrows -> T { try Self.$current.withValue(self, operation: body) }

    private var isSet: Bool { isStopped.load(ordering: .relaxed) || outer?.isSet == true }

    /// Whether nobody wants any more what the calling thread or task does.
    static var isUnwanted: Bool { Task.isCancelled || current?.isSet == true }
}
