internal import Glibc
internal import Synchronization

/// Runs `side` on a thread of its own and `main` here; returns when both have ended.
///
/// For two passes over the same bytes, each as fast as a core goes. An error of `main` goes before one of `side`; `side`
/// has no task, so what should stop early has to be told by other means.
public func concurrently<Side: Sendable, Main>(
    _ side: @escaping @Sendable () throws -> Side, _ main: () throws -> Main
) throws -> (Side, Main) {
    let work = SideWork(side)
    work.start()
    let mine = Result { try main() }
    let theirs = work.wait()
    let result = try mine.get()
    return (try theirs.get(), result)
}

/// The condition and mutex guard the result.
@safe
private final class SideWork<Value: Sendable>: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let end: UnsafeMutablePointer<pthread_cond_t>
    private let body: @Sendable () throws -> Value
    private var result: Result<Value, any Error>?

    init(_ body: @escaping @Sendable () throws -> Value) {
        self.body = body
        unsafe lock = .allocate(capacity: 1)
        unsafe end = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(end, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(end)
        unsafe pthread_mutex_destroy(lock)
        unsafe end.deallocate()
        unsafe lock.deallocate()
    }

    func start() {
        OwnThread.start { [self] in
            let result = Result { try body() }
            unsafe pthread_mutex_lock(lock)
            self.result = result
            unsafe pthread_cond_signal(end)
            unsafe pthread_mutex_unlock(lock)
        }
    }

    func wait() -> Result<Value, any Error> {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        while true {
            if let result { return result }
            unsafe pthread_cond_wait(end, lock)
        }
    }
}
