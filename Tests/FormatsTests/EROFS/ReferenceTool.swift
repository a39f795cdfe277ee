import Foundation
import Testing

/// A program that knows the format, which we must equal.
struct ReferenceTool: Sendable {
    let name: String
    let path: String

    /// Looks in the directories of system programs; `variable` in the environment comes first.
    static func find(_ name: String, variable: String? = nil) -> ReferenceTool? {
        let environment = ProcessInfo.processInfo.environment
        let named = variable.flatMap { environment[$0] }
        let paths =
            named.map { [$0] } ?? ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"].map { "\($0)/\(name)" }
        let found = variable != nil && named == nil ? nil : paths.first(where: FileManager.default.isExecutableFile)
        return found.map { ReferenceTool(name: name, path: $0) }
    }

    /// Whether a test that needs the tools runs: when they are there, and when missing ones are to fail the run
    /// (`KAPSULE_REQUIRE_TOOLS=1`). Says so when it does not.
    static func shouldRun(_ tools: ReferenceTool?..., named names: String) -> Bool {
        if tools.allSatisfy({ $0 != nil }) { return true }
        if ProcessInfo.processInfo.environment["KAPSULE_REQUIRE_TOOLS"] == "1" { return true }
        FileHandle.standardError.write(Data("NOT COMPARED: \(names) is not installed\n".utf8))
        return false
    }

    struct Result {
        var status: Int32
        var output: [UInt8]
        var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// Runs to the end; both outputs together.
    func run(_ arguments: [String]) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        // Both would change what the formatter writes.
        environment["SOURCE_DATE_EPOCH"] = nil
        environment["LC_ALL"] = "C"
        process.environment = environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(status: process.terminationStatus, output: Array(output))
    }
}

extension ReferenceTool {
    static let mkfs = find("mkfs.erofs")
    static let fsck = find("fsck.erofs")
    /// Builds of the releases behind the later profiles, where a distribution does not have them.
    static let mkfs186 = find("mkfs.erofs-1.8.6", variable: "KAPSULE_MKFS_EROFS_1_8_6")
    static let mkfs19 = find("mkfs.erofs-1.9", variable: "KAPSULE_MKFS_EROFS_1_9")
    static let veritysetup = find("veritysetup")
    static let sgdisk = find("sgdisk")
    static let openssl = find("openssl")
}

/// Runs a bounded sample by default; `KAPSULE_CAMPAIGN=<count>` runs as many as named.
func campaign(default sample: Int) -> Int {
    ProcessInfo.processInfo.environment["KAPSULE_CAMPAIGN"].flatMap { Int($0) } ?? sample
}
