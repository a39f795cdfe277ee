import Foundation
import TestSupport
import Testing

/// The `dot` program, where it is installed.
enum Graphviz {
    /// What `dot -Tsvg` makes of `text`; nil, loudly, where there is no `dot`.
    static func draw(_ text: String) throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let folders = (environment["PATH"] ?? "").split(separator: ":")
        guard let dot = folders.map({ "\($0)/dot" }).first(where: FileManager.default.isExecutableFile) else {
            if environment["KAPSULE_REQUIRE_TOOLS"] == "1" { Issue.record("graphviz is not installed") }
            print("SKIPPED: graphviz is not installed, so nobody checked that dot accepts a plan")
            return nil
        }
        let directory = try TemporaryDirectory()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: dot)
        process.arguments = ["-Tsvg", "-o", directory.path + "/out.svg", try directory.write("in.dot", text)]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: try directory.read("out.svg"), as: UTF8.self)
    }
}
