internal import Foundation

/// A program that tests use as an oracle.
///
/// Where it is missing the test says so on stderr and passes, unless `KAPSULE_REQUIRE_TOOLS=1` makes that a failure.
public struct Tool: Sendable {
    public let path: String

    public struct Missing: Error, CustomStringConvertible {
        public let description: String
    }

    public struct Failed: Error, CustomStringConvertible {
        public let description: String
    }

    /// Nil where the program is not installed.
    ///
    /// - Throws: `Missing` instead, when the environment requires all tools.
    public static func find(_ name: String) throws -> Tool? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") {
            return Tool(path: "\(folder)/\(name)")
        }
        try skip("\(name) is not installed")
        return nil
    }

    /// Says loudly that a test checks nothing.
    ///
    /// - Throws: `Missing` when the environment does not allow that.
    public static func skip(_ reason: String, in test: String = #function) throws {
        if ProcessInfo.processInfo.environment["KAPSULE_REQUIRE_TOOLS"] == "1" { throw Missing(description: reason) }
        FileHandle.standardError.write(Data("SKIPPED \(test): \(reason)\n".utf8))
    }

    /// Runs the program; what it prints on stdout.
    ///
    /// - Throws: `Failed` with what it printed on stderr, when it ends with another status than 0.
    @discardableResult
    public func run(
        _ arguments: [String], input: [UInt8] = [], in directory: String? = nil, environment: [String: String] = [:]
    ) throws -> [UInt8] {
        // Files rather than pipes: neither side can wait for the other.
        let folder = try TemporaryDirectory()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.write("in", input)))
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.write("out", "")))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.write("err", "")))
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let said = String(decoding: try folder.read("err"), as: UTF8.self)
            throw Failed(description: "\(path) \(arguments) ended with \(process.terminationStatus): \(said)")
        }
        return try folder.read("out")
    }
}
