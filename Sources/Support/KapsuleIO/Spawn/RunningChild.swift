internal import CLinux
internal import Glibc
internal import KapsuleCore

/// A started program and our ends of its standard input and output. Reaped when the value goes.
///
/// Sockets rather than pipes: they are closed on exec from the start, and writing to one whose reader is gone is an
/// error instead of a signal.
@safe
final class RunningChild {
    let program: String
    let pid: pid_t
    private(set) var input: Int32
    let output: Int32
    private var end: ChildProcess.End?

    /// - Parameter errors: where its standard error goes; dropped without.
    init(
        _ program: String, _ arguments: [String], _ environment: [String: String], errors: OpenFile? = nil
    ) throws {
        self.program = program
        let (ourInput, theirInput) = try Self.socketPair()
        let ends: (Int32, Int32)
        do {
            ends = try Self.socketPair()
        } catch {
            close(ourInput)
            close(theirInput)
            throw error
        }
        (input, output) = (ourInput, ends.0)
        defer {
            close(theirInput)
            close(ends.1)
        }
        let names = environment.keys.sorted()
        let (result, pid) = unsafe CStrings([program] + arguments).withPointers { arguments in
            unsafe CStrings(names.map { "\($0)=\(environment[$0] ?? "")" }).withPointers { environment in
                unsafe Self.spawn(program, arguments, environment, input: theirInput, output: ends.1, errors: errors)
            }
        }
        self.pid = pid
        if result != 0 {
            end = .exited(127)
            throw KapsuleError.system("run \(program)", errno: result)
        }
    }

    deinit {
        if end == nil { kill() }
        if input >= 0 { close(input) }
        close(output)
    }

    private static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw KapsuleError.system("prepare a child process", errno: errno)
        }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ program: String, _ arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>,
        _ environment: UnsafePointer<UnsafeMutablePointer<CChar>?>, input: Int32, output: Int32, errors: OpenFile?
    ) -> (Int32, pid_t) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        if let errors {
            unsafe posix_spawn_file_actions_adddup2(&actions, errors.descriptor, 2)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // What we ignore or block, it need not: it stays in our group, so that it may ask for a passphrase.
        var defaults = sigset_t()
        unsafe sigemptyset(&defaults)
        unsafe posix_spawnattr_setsigmask(&attributes, &defaults)
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&defaults, signal) }
        unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let result = unsafe posix_spawn(&pid, program, &actions, &attributes, arguments, environment)
        return (result, pid)
    }

    func closeInput() {
        guard input >= 0 else { return }
        close(input)
        input = -1
    }

    /// How it ended; nil while it runs.
    func poll() -> ChildProcess.End? {
        if end == nil { reap(WNOHANG) }
        return end
    }

    /// Hands on what it says until it says nothing more.
    func drain(_ deliver: (Span<UInt8>) throws -> Void) throws {
        var block = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            try Task.checkNotInterrupted()
            var polled = [pollfd(fd: output, events: Int16(POLLIN), revents: 0)]
            guard unsafe Glibc.poll(&polled, 1, 100) > 0 else { continue }
            let count = unsafe block.withUnsafeMutableBufferPointer {
                unsafe recv(output, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
            }
            if count == 0 { return }
            if count < 0 {
                guard errno == EAGAIN || errno == EINTR else {
                    throw KapsuleError.system("read of \(program)", errno: errno)
                }
                continue
            }
            try deliver(block.span.extracting(first: count))
        }
    }

    /// Waits for its end.
    func wait() -> ChildProcess.End {
        if end == nil { reap(0) }
        return end ?? .exited(127)
    }

    /// Ends it at once and waits for that.
    func kill() {
        guard poll() == nil else { return }
        Glibc.kill(pid, SIGKILL)
        reap(0)
    }

    private func reap(_ options: Int32) {
        var status: Int32 = 0
        var result: pid_t
        repeat { result = unsafe waitpid(pid, &status, options) } while result < 0 && errno == EINTR
        guard result != 0 else { return }
        let signal = status & 0x7f
        end = result < 0 ? .exited(127) : signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal)
    }
}

/// What goes in and out of a child while it runs.
struct ChildExchange {
    private let child: RunningChild
    private let outputLimit: Int
    private let deadline: ContinuousClock.Instant
    private var rest: ArraySlice<UInt8>
    private(set) var output: [UInt8] = []
    private var isOutputOpen = true

    init(_ child: RunningChild, input: [UInt8], outputLimit: Int, deadline: ContinuousClock.Instant) {
        self.child = child
        self.outputLimit = outputLimit
        self.deadline = deadline
        rest = input[...]
    }

    /// Until the program has ended. What one that it left running says later is not waited for.
    mutating func finish() throws -> ChildProcess.End {
        while true {
            try Task.checkNotInterrupted()
            guard ContinuousClock.now < deadline else { throw gaveUp("did not end in time") }
            let end = child.poll()
            try move(waits: end == nil)
            if let end { return end }
        }
    }

    private mutating func move(waits: Bool) throws {
        if rest.isEmpty { child.closeInput() }
        var polled = [
            pollfd(fd: isOutputOpen ? child.output : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: child.input, events: Int16(POLLOUT), revents: 0),
        ]
        // Short once all is said: then only the program's end is waited for.
        let milliseconds: Int32 = waits ? (isOutputOpen ? 100 : 5) : 0
        _ = unsafe poll(&polled, 2, milliseconds)
        if polled[1].revents != 0 { send() }
        if polled[0].revents != 0 { try receive(all: !waits) }
    }

    private mutating func send() {
        let count = unsafe rest.withUnsafeBufferPointer {
            unsafe Glibc.send(child.input, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if count > 0 {
            rest = rest.dropFirst(count)
        } else if errno != EAGAIN, errno != EINTR {
            rest = []  // It does not want to hear more.
        }
    }

    private mutating func receive(all: Bool) throws {
        var block = [UInt8](repeating: 0, count: 16 << 10)
        repeat {
            let count = unsafe block.withUnsafeMutableBufferPointer {
                unsafe recv(child.output, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
            }
            if count <= 0 {
                isOutputOpen = count < 0 && (errno == EAGAIN || errno == EINTR)
                return
            }
            guard output.count + count <= outputLimit else { throw gaveUp("says more than \(outputLimit) bytes") }
            output += block[..<count]
        } while all
    }

    private func gaveUp(_ why: String) -> KapsuleError {
        KapsuleError(
            .unavailable, id: "io.child", "\(child.program) \(why)", remedy: "run it by hand to see what it waits for")
    }
}

/// Strings as `execve` wants them.
@safe
struct CStrings: ~Copyable {
    private var pointers: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) { unsafe pointers = strings.map { unsafe strdup($0) } + [nil] }

    deinit { unsafe pointers.forEach { unsafe free($0) } }

    func withPointers<T>(_ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> T) -> T {
        unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}
