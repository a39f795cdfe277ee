import Foundation
import TestSupport
import Testing

/// What a power failure leaves is either not there or whole: the order of the system calls says so.
@Suite(.enabled(if: TestProgram.strace.isUsable, "strace is not installed: apt-get install strace"))
struct PowerLossTests {
    /// What one run of kapsule asked of the kernel, in order.
    private struct Trace {
        /// With the process's number in front, and paths behind descriptors.
        let lines: [String]

        init(_ sandbox: Sandbox, _ arguments: [String]) throws {
            let file = "\(sandbox.path)/trace"
            let strace = try #require(TestProgram.strace.path)
            let outcome = try Child(
                strace,
                [
                    "-f", "-y", "-s", "300", "-o", file, "-e",
                    "trace=fdatasync,fsync,link,linkat,rename,renameat,renameat2", Sandbox.program,
                ] + arguments, environment: sandbox.environment, in: "\(sandbox.path)/desk"
            ).wait()
            #expect(outcome.status == 0, "\(outcome.errors)")
            lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
        }

        /// Where a file in `folder` got its name, and what it was known by before: `12<`, its descriptor, or `/NAME>`.
        func namings(in folder: String) throws -> [(line: Int, thread: String, before: String)] {
            let call = try NSRegularExpression(
                pattern:
                    #"^(\d+) +(?:linkat\(\S+ "/proc/self/fd/(\d+)", \S+ |rename\("([^"]+)", )"[^"]*/\#(folder)[^"]*""#)
            return lines.enumerated().compactMap { index, line in
                guard let match = call.firstMatch(in: line, range: NSRange(line.startIndex..., in: line)) else {
                    return nil
                }
                func group(_ number: Int) -> String? {
                    Range(match.range(at: number), in: line).map { String(line[$0]) }
                }
                return (
                    index, group(1) ?? "",
                    group(2).map { "\($0)<" } ?? "/\((group(3) ?? "").split(separator: "/").last ?? "")>"
                )
            }
        }

        /// Whether the thread had it flushed before.
        func isFlushed(_ before: String, by thread: String, until line: Int) -> Bool {
            lines[..<line].contains { $0.hasPrefix("\(thread) ") && $0.contains("fdatasync(") && $0.contains(before) }
        }

        /// Every blob is on the device when it gets its name, and every blob has its name when the index is replaced.
        func expectOrder(of blobs: Int, in layout: String, line: Int = #line) throws {
            let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
            let named = try namings(in: "blobs/sha256/").filter {
                !$0.before.contains("/.kapsule-") || $0.before.contains("partial")
            }
            #expect(named.count == blobs, "\(lines)", sourceLocation: location)
            for blob in named {
                #expect(
                    isFlushed(blob.before, by: blob.thread, until: blob.line), "\(lines[blob.line])",
                    sourceLocation: location)
            }
            let index = lines.lastIndex { $0.contains("rename(") && $0.contains("\(layout)/index.json\"") }
            let last = try #require(index, sourceLocation: location)
            #expect(named.allSatisfy { $0.line < last }, sourceLocation: location)
        }
    }

    private let sandbox: Sandbox
    private let context: String

    init() throws {
        sandbox = try Sandbox()
        context = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
    }

    @Test func aBuildIntoTheStore() throws {
        // Small files, a large one, the Modelfile, config and manifest.
        try Trace(sandbox, ["build", "-t", "m:1", context]).expectOrder(of: 5, in: sandbox.store)
    }

    @Test func aPullIntoALayout() throws {
        let registry = try TestRegistry()
        let image = "\(registry.host)/acme/m:1"
        try sandbox.done("build", "-t", image, context)
        try Trace(sandbox, ["pull", "-o", "layout", image]).expectOrder(of: 5, in: "layout")
    }

    @Test func aCopyFromTheStore() throws {
        try sandbox.done("build", "-t", "m:1", context)
        try Trace(sandbox, ["export", "-o", "layout", "m:1"]).expectOrder(of: 5, in: "layout")
    }
}
