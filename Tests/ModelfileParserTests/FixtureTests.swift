import Foundation
import KapsuleCore
import ModelfileParser
import Testing

/// The folders of `test_fixtures/modelfiles`: a case is two files. `KAPSULE_RECORD=1` writes the second one.
@Suite struct FixtureTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("test_fixtures/modelfiles")

    private static func names(_ folder: String) -> [String] {
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)) ?? []
        return names.filter { $0.hasSuffix(".modelfile") }.map { String($0.dropLast(".modelfile".count)) }.sorted()
    }

    static let ok = names("ok")
    static let bad = names("bad")

    private func parse(_ folder: String, _ name: String) throws -> ParseResult {
        let bytes = try Data(contentsOf: Self.root.appendingPathComponent("\(folder)/\(name).modelfile"))
        return Parser.parse(bytes: Array(bytes), file: "\(name).modelfile")
    }

    private func expect(_ text: String, _ path: String) throws {
        let url = Self.root.appendingPathComponent(path)
        if ProcessInfo.processInfo.environment["KAPSULE_RECORD"] == "1" {
            try Data(text.utf8).write(to: url)
        } else {
            #expect(text == String(decoding: try Data(contentsOf: url), as: UTF8.self), "\(path)")
        }
    }

    @Test func hasFixtures() {
        #expect(Self.ok.count >= 8 && Self.bad.count >= 8)
    }

    @Test(arguments: ok)
    func reads(_ name: String) throws {
        let result = try parse("ok", name)
        #expect(result.errors == [])
        try expect(result.modelfile.instructionsJSON.pretty + "\n", "ok/\(name).expected.json")
        let canonical = result.modelfile.canonicalText()
        #expect(Parser.parse(canonical).modelfile.canonicalText() == canonical)
    }

    @Test(arguments: bad)
    func refuses(_ name: String) throws {
        let result = try parse("bad", name)
        #expect(!result.errors.isEmpty)
        let text = DiagnosticRenderer(source: result.source).render(result.diagnostics)
        try expect(text, "bad/\(name).expected.txt")
    }
}
