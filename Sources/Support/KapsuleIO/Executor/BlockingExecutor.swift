internal import CLinux
internal import Glibc
internal import Synchronization

/// Threads that are ours to block: reading, writing, hashing and libcurl run here, so that Swift's own pool, which has
/// one thread a core, never starves.
///
/// Entered once, with `withTaskExecutorPreference`; task groups inside inherit it.
// The queue is guarded by its mutex and condition; the threads never end.
@safe
public final class BlockingExecutor: TaskExecutor, @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let arrival: UnsafeMutablePointer<pthread_cond_t>
    private var waiting: [UnownedJob] = []

    /// - Parameter threads: enough for every task that may block at one time, which is more than there are cores.
    public init(threads: Int) {
        unsafe lock = .allocate(capacity: 1)
        unsafe arrival = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(arrival, nil)
        for _ in 0..<threads { OwnThread.start { [self] in self.work() } }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        unsafe pthread_mutex_lock(lock)
        waiting.append(job)
        unsafe pthread_mutex_unlock(lock)
        unsafe pthread_cond_signal(arrival)
    }

    private func work() {
        while true {
            unsafe pthread_mutex_lock(lock)
            while waiting.isEmpty { unsafe pthread_cond_wait(arrival, lock) }
            let job = waiting.removeFirst()
            unsafe pthread_mutex_unlock(lock)
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// A thread for one piece of work that must run at the same time as its caller, such as the far end of a pipe.
public enum OwnThread {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a new, detached thread.
    public static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
        let box = unsafe Unmanaged.passRetained(Box(body)).toOpaque()
        let result = unsafe pthread_create(
            &thread, &attributes,
            { pointer in
                unsafe Unmanaged<Box>.fromOpaque(pointer!).takeRetainedValue().body()
                return nil
            }, box)
        unsafe pthread_attr_destroy(&attributes)
        precondition(result == 0, "the system gives no further thread")
    }
}
