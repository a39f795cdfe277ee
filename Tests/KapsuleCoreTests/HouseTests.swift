import Foundation
import Testing

/// The rules of docs/architecture.md that the compiler does not check.
@Suite struct HouseTests {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources")

    /// Paths below `Sources`, and what is in them.
    private static func swiftFiles() throws -> [(path: String, lines: [Substring])] {
        let paths = try #require(FileManager.default.enumerator(atPath: sources.path)).compactMap { $0 as? String }
        return try paths.filter { $0.hasSuffix(".swift") }.map { path in
            (path, try String(contentsOf: sources.appendingPathComponent(path), encoding: .utf8).split(separator: "\n"))
        }
    }

    // C stays behind one door each.
    @Test(arguments: [
        ("CCurl", ["Support/HTTP/Curl/"]), ("COpenSSL", ["Support/KapsuleCrypto/"]),
        ("CSHA256", ["Support/KapsuleCrypto/Hashing/"]), ("CZlib", ["Support/Formats/Gzip/"]),
        ("CLinux", ["Support/KapsuleIO/"]), ("Glibc", ["Support/KapsuleIO/"]),
    ])
    func isImportedBehindItsDoorOnly(_ module: String, _ doors: [String]) throws {
        for file in try Self.swiftFiles() where file.lines.contains(where: { $0.hasSuffix("import \(module)") }) {
            #expect(doors.contains { file.path.hasPrefix($0) }, "\(file.path) imports \(module)")
        }
    }

    // One Foundation-only call adds 42 MiB to a static binary.
    @Test func nobodyImportsAllOfFoundation() throws {
        for file in try Self.swiftFiles() {
            #expect(!file.lines.contains { $0.hasSuffix("import Foundation") }, "\(file.path)")
        }
    }

    @Test func builderAndExportersDoNotKnowEachOther() throws {
        for file in try Self.swiftFiles() {
            let other =
                file.path.hasPrefix("Builder/") ? "Exporters" : file.path.hasPrefix("Exporters/") ? "Builder" : nil
            guard let other else { continue }
            #expect(!file.lines.contains { $0.hasSuffix("import \(other)") }, "\(file.path) imports \(other)")
        }
    }

    @Test func formatsOpenNoFile() throws {
        for file in try Self.swiftFiles() where file.path.hasPrefix("Support/Formats/") {
            #expect(
                !file.lines.contains { $0.hasSuffix("import KapsuleIO") || $0.hasSuffix("import HTTP") }, "\(file.path)"
            )
        }
    }

    @Test func everyTargetSaysWhatItIs() throws {
        let targets =
            ["kapsule", "ModelfileParser", "Builder", "Exporters"]
            + (try FileManager.default.contentsOfDirectory(atPath: Self.sources.path + "/Support").map {
                "Support/\($0)"
            })
        for target in targets {
            let path = Self.sources.appendingPathComponent("\(target)/README.md").path
            #expect(FileManager.default.fileExists(atPath: path), "\(target) has no README.md")
        }
    }
}
