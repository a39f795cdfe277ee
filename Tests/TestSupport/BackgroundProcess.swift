import Foundation
import Synchronization

private final class Said: Sendable {
    let text = Mutex("")
    let arrived = DispatchSemaphore(value: 0)

    func add(_ more: String) {
        text.withLock { $0 += more }
        arrived.signal()
    }
}

/// A program that runs beside a test, and ends with the value.
// The process is started by the initialiser and ended by the deinitialiser; what it says is in a mutex.
public final class BackgroundProcess: @unchecked Sendable {
    private let process = Process()
    private let said = Said()

    public init(_ tool: TestProgram, _ arguments: [String], environment: [String: String] = [:]) throws {
        process.executableURL = URL(fileURLWithPath: try tool.found())
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let reader = pipe.fileHandleForReading
        Thread.detachNewThread { [said] in
            while case let data = reader.availableData, !data.isEmpty {
                said.add(String(decoding: data, as: UTF8.self))
            }
            said.add("\n*** it has ended ***\n")
        }
    }

    deinit {
        // Not SIGTERM: a child started from one of Swift's threads may have it blocked.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Everything it has said.
    public var output: String { said.text.withLock { $0 } }

    /// Waits until its output has a match, and gives the first group.
    public func wait(for pattern: String) throws -> String {
        let expression = try NSRegularExpression(pattern: pattern)
        let deadline = DispatchTime.now() + .seconds(30)
        while true {
            let text = output
            let range = NSRange(text.startIndex..., in: text)
            if let match = expression.firstMatch(in: text, range: range),
                let group = Range(match.range(at: 1), in: text)
            {
                return String(text[group])
            }
            guard !text.contains("*** it has ended ***"), said.arrived.wait(timeout: deadline) == .success else {
                throw TestProgram.Missing(
                    description: "\(process.executableURL?.path ?? "") did not say '\(pattern)':\n\(text)")
            }
        }
    }
}
