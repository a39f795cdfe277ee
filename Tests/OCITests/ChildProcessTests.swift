import KapsuleCore
import KapsuleIO
import TestSupport
import Testing

@Suite struct ChildProcessTests {
    static func shell(
        _ script: String, input: [UInt8] = [], outputLimit: Int = 1 << 20, timeout: Duration = .seconds(30)
    ) throws -> ChildProcess.Result {
        try ChildProcess.run(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin", "X": "a b"], input: input,
            outputLimit: outputLimit, timeout: timeout)
    }

    @Test func passesInputOutputAndEnvironment() throws {
        let result = try Self.shell("cat; printf '%s' \"$X$HOME\"; echo secret >&2", input: Array("in ".utf8))
        #expect(result.isSuccess)
        #expect(String(decoding: result.output, as: UTF8.self) == "in a b")
    }

    @Test func movesMoreThanASocketHolds() throws {
        let bytes = [UInt8](repeating: 65, count: 900_000)
        #expect(try Self.shell("cat", input: bytes).output == bytes)
        #expect(try Self.shell("exec <&-; echo done", input: bytes).output == Array("done\n".utf8))
    }

    @Test func saysHowItEnded() throws {
        #expect(try Self.shell("exit 7").end == .exited(7))
        #expect(try Self.shell("kill -9 $$").end == .killed(signal: 9))
    }

    @Test func killsWhatSaysTooMuchOrTakesTooLong() {
        for (script, limit, timeout) in [("cat /dev/zero", 1000, 30_000), ("exec sleep 60", 1000, 50)] {
            let error = #expect(throws: KapsuleError.self) {
                try Self.shell(script, outputLimit: limit, timeout: .milliseconds(timeout))
            }
            #expect(error?.id == "io.child")
        }
    }

    /// A program that it leaves running holds its output open.
    @Test func waitsForTheProgramItself() throws {
        let start = ContinuousClock.now
        #expect(try Self.shell("sleep 5 & echo x").output == Array("x\n".utf8))
        #expect(start.duration(to: .now) < .seconds(4))
    }

    @Test func saysThatItCannotBeStarted() {
        #expect(throws: KapsuleError.self) { try ChildProcess.run("/nowhere/x", [], environment: [:]) }
    }

    @Test func looksInAbsoluteDirectoriesOnly() throws {
        #expect(ChildProcess.find("sh", searchPath: "/usr/bin:/bin")?.hasSuffix("/sh") == true)
        #expect(ChildProcess.find("sh", searchPath: "bin:.:../../bin:") == nil)
        #expect(ChildProcess.find("../bin/sh", searchPath: "/usr/bin") == nil)
        #expect(ChildProcess.find("", searchPath: "/usr/bin") == nil)
    }
}
