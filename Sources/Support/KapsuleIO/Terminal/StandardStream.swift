internal import CLinux
internal import Glibc
internal import KapsuleCore

/// Standard output or standard error, unbuffered.
public struct StandardStream: Sendable {
    public static let output = StandardStream(descriptor: 1)
    public static let error = StandardStream(descriptor: 2)

    public let descriptor: Int32

    /// Whether a person may be looking.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Columns and rows of the terminal as it is now; nil where there is none, or where it does not know.
    public var size: (columns: Int, rows: Int)? {
        let size = Int(kapsule_terminal_size(descriptor))
        guard size > 0, size >> 16 > 0, size & 0xFFFF > 0 else { return nil }
        return (size >> 16, size & 0xFFFF)
    }

    /// Writes all of `text`, waiting as long as it takes.
    ///
    /// - Throws: also when nobody reads any more; the process lives on only after `prepare`.
    public func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.span.extracting(droppingFirst: done).withUnsafeBufferPointer {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 {
                done += count
            } else if errno == EAGAIN {
                waitUntilWritable()
            } else if errno != EINTR {
                throw KapsuleError.system(
                    "write to \(descriptor == 1 ? "standard output" : "standard error")", errno: errno)
            }
        }
    }

    /// Whoever shares the descriptor may have made it non-blocking.
    private func waitUntilWritable() {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&request, 1, 1000)
    }

    /// To be called before anything is opened.
    ///
    /// A standard stream that came closed is opened to nowhere: else the next file opened would take its number, and
    /// messages would be written into a model. And writing to a pipe that nobody reads fails from now on, instead of
    /// ending the process; for children too, unless they set it back.
    public static func prepare() {
        for descriptor in 0...2 where fcntl(Int32(descriptor), F_GETFD) < 0 {
            // The lowest free number is given, which is this one.
            _ = unsafe kapsule_open("/dev/null", O_RDWR, 0)
        }
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
