internal import Foundation
internal import Glibc

/// A program as a child of a test: signalled when the test likes, and what the kernel says of it when it has ended.
///
/// Its output goes to files, so that it never waits for a reader. Killed and reaped when the value goes.
public final class Child {
    /// What is left of a program that has ended.
    public struct Outcome: Sendable {
        /// As a shell has it: 128 and the signal, where one ended it.
        public let status: Int32
        /// Whether it ended by itself, rather than by a signal.
        public let hasExited: Bool
        public let output: String
        public let errors: String
        /// Bytes that its reads brought, from wherever: `rchar` of `/proc/PID/io`.
        public let bytesRead: Int64
    }

    public let pid: Int32
    private let files: TemporaryDirectory
    /// Reads as ended when the child, and everyone it passed its end to, has.
    private let life: Int32
    private var isReaped = false

    /// - Parameters:
    ///   - environment: all of it; nothing is inherited.
    ///   - input: what it reads from standard input.
    public init(
        _ program: String, _ arguments: [String], environment: [String: String], in directory: String,
        input: [UInt8] = []
    ) throws {
        files = try TemporaryDirectory()
        let spawning = try Spawning(
            input: files.write("in", input), output: files.write("out", ""), errors: files.write("err", ""))
        // `env` goes to the directory, and becomes the program.
        (pid, life) = try spawning.run("/usr/bin/env", ["-C", directory, program] + arguments, environment)
    }

    deinit {
        if !isReaped {
            kill(SIGKILL)
            _ = waitpid(pid, nil, 0)
        }
        close(life)
    }

    public func kill(_ signal: Int32) { if !isReaped { _ = Glibc.kill(pid, signal) } }

    /// Whether it ends within that time. Waits no longer than it has to.
    public func ends(within time: Duration) -> Bool {
        let (seconds, attoseconds) = time.components
        var end = pollfd(fd: life, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&end, 1, Int32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)) > 0
    }

    /// What it has said on stderr until now.
    public var errors: String { (try? files.read("err")).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    /// Waits for its end.
    ///
    /// - Throws: when it has not ended after that time; it is killed then.
    public func wait(atMost time: Duration = .seconds(120)) throws -> Outcome {
        let isLate = !ends(within: time)
        if isLate { kill(SIGKILL) }
        // Reaping it would take /proc/PID away.
        var information = unsafe siginfo_t()
        _ = unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT)
        let bytesRead = Self.bytesRead(pid)
        var status: Int32 = 0
        _ = unsafe waitpid(pid, &status, 0)
        isReaped = true
        let outcome = Outcome(
            status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f),
            hasExited: status & 0x7f == 0, output: String(decoding: try files.read("out"), as: UTF8.self),
            errors: errors, bytesRead: bytesRead)
        if isLate { throw Tool.Failed(description: "it had not ended after \(time): \(outcome)") }
        return outcome
    }

    private static func bytesRead(_ pid: Int32) -> Int64 {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/io", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("rchar: ") }
        return line.flatMap { Int64($0.dropFirst(7)) } ?? -1
    }
}

/// How a child is started: what its descriptors are.
private struct Spawning {
    let input: String
    let output: String
    let errors: String

    /// - Returns: the child, and a descriptor that reads as ended when it has.
    func run(_ program: String, _ arguments: [String], _ environment: [String: String]) throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw failure("make a socket", errno) }
        defer { close(ends[1]) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_APPEND, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_APPEND, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 100)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        var argumentStrings = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        var environmentStrings = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
        defer { unsafe (argumentStrings + environmentStrings).forEach { unsafe free($0) } }
        let result = unsafe posix_spawn(
            &pid, program, &actions, &attributes, &argumentStrings, &environmentStrings)
        guard result == 0 else {
            close(ends[0])
            throw failure("run \(program)", result)
        }
        return (pid, ends[0])
    }

    private func failure(_ what: String, _ number: Int32) -> Tool.Failed {
        Tool.Failed(description: "cannot \(what): \(unsafe String(cString: strerror(number)))")
    }
}
