internal import Glibc
internal import KapsuleCore

/// Another program, run to its end without a shell.
///
/// Secrets go in through standard input, never through arguments. What it says on standard error is dropped, unless there is a
/// file for it.
public enum ChildProcess {
    public enum End: Sendable, Hashable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    public struct Result: Sendable {
        public let end: End
        /// Standard output.
        public let output: [UInt8]

        public var isSuccess: Bool { end == .exited(0) }
    }

    /// Runs `program` and waits for it.
    ///
    /// - Parameters:
    ///   - program: an absolute path; see `find`.
    ///   - arguments: without the program's own name.
    ///   - outputLimit: in bytes; a program that says more is killed.
    ///   - timeout: a program that runs longer is killed.
    /// - Throws: `.unavailable` for both of these, `.usage` when it cannot be started, `.interrupted`.
    public static func run(
        _ program: String, _ arguments: [String], environment: [String: String], input: [UInt8] = [],
        outputLimit: Int = 1 << 20, timeout: Duration = .seconds(60), errors: OpenFile? = nil
    ) throws -> Result {
        precondition(program.hasPrefix("/"), "a program is named by an absolute path")
        let running = try RunningChild(program, arguments, environment, errors: errors)
        var exchange = ChildExchange(running, input: input, outputLimit: outputLimit, deadline: .now + timeout)
        do {
            return Result(end: try exchange.finish(), output: exchange.output)
        } catch {
            running.kill()
            throw error
        }
    }

    /// Runs `program`, which hears nothing, and hands on what it says as it comes.
    ///
    /// - Parameters:
    ///   - errors: where its standard error goes; dropped without.
    ///   - deliver: what it throws ends the program.
    /// - Returns: how it ended, when all was delivered.
    public static func stream(
        _ program: String, _ arguments: [String], environment: [String: String], errors: OpenFile? = nil,
        deliver: (Span<UInt8>) throws -> Void
    ) throws -> End {
        precondition(program.hasPrefix("/"), "a program is named by an absolute path")
        let running = try RunningChild(program, arguments, environment, errors: errors)
        running.closeInput()
        do {
            try running.drain(deliver)
            return running.wait()
        } catch {
            running.kill()
            throw error
        }
    }

    /// The program of that name in the absolute directories of a `PATH`; relative ones are not looked at.
    public static func find(_ name: String, searchPath: String?) -> String? {
        guard !name.isEmpty, !name.contains("/") else { return nil }
        return (searchPath ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").lazy
            .filter { $0.hasPrefix("/") }.map { "\($0)/\(name)" }
            .first { path in
                let kind = try? FileStatus.of(path, followsLinks: true)?.kind
                return unsafe kind == .regular && access(path, X_OK) == 0
            }
    }

    /// The user this process runs as.
    public static var userID: UInt32 { getuid() }
}
