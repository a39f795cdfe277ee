internal import CLinux
internal import Glibc
internal import Synchronization

/// Ctrl-C and `kill`, as a chance to end in order.
///
/// Made before any other thread is, so that all threads inherit the mask and only the watching one hears of signals.
/// A second signal ends the process at once.
public final class Interrupts: Sendable {
    private let signal = Mutex<Int32?>(nil)

    public init() {
        var set = Self.set
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // A reader that went away is an error of the write, not the end of the process.
        _ = Glibc.signal(SIGPIPE, SIG_IGN)
    }

    private static var set: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGHUP)
        return set
    }

    /// SIGINT, SIGTERM or SIGHUP, once it came.
    public var received: Int32? { signal.withLock(\.self) }

    /// Calls `body` on a thread of its own when the first signal comes.
    public func watch(_ body: @escaping @Sendable () -> Void) {
        OwnThread.start { [self] in
            var set = Self.set
            var number: Int32 = 0
            while unsafe sigwait(&set, &number) == 0 {
                let isSecond = signal.withLock { signal in
                    defer { signal = number }
                    return signal != nil
                }
                if isSecond { _exit(128 + number) }
                body()
            }
        }
    }
}
