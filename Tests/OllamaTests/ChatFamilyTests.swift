import Foundation
import TestSupport
import Testing

@testable import Ollama

@Suite struct ChatFamilyTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("test_fixtures/chat-templates")

    private func jinja(_ family: String) throws -> String {
        try String(contentsOf: Self.folder.appendingPathComponent("\(family).jinja"), encoding: .utf8)
    }

    @Test func everyFamilyHasItsFixture() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        for ending in [".jinja", ".gotmpl"] {
            let found = names.filter { $0.hasSuffix(ending) }.map { String($0.dropLast(ending.count)) }
            #expect(found.sorted() == ChatFamily.all.map(\.name).sorted())
        }
    }

    @Test(arguments: ChatFamily.all)
    func isRecognisedAndHasTheTemplateThatWasProven(_ family: ChatFamily) throws {
        #expect(ChatFamily.of(try jinja(family.name), endToken: 2)?.name == family.name)
        let file = Self.folder.appendingPathComponent("\(family.name).gotmpl")
        if ProcessInfo.processInfo.environment["KAPSULE_RECORD"] == "1" {
            try Data(family.template.utf8).write(to: file)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == family.template)
        #expect(!family.stops.isEmpty)
    }

    @Test(.enabled(if: TestProgram.pythonJinja.isUsable, "needs the Python package jinja2"))
    func jinjaRendersWhatTheTemplatesWereComparedWith() throws {
        let tool = TestProgram.directory + "/chat_templates.py"
        #expect(
            try TestProgram.pythonJinja.check([tool, "jinja", Self.folder.path]) == "\(ChatFamily.all.count) families\n"
        )
    }

    @Test func quotesAndLineEndsMayBeWrittenOtherwise() throws {
        for family in ChatFamily.all.map(\.name) {
            let text = try jinja(family)
            let other = text.replacingOccurrences(of: "\\n", with: "\n").replacingOccurrences(of: "'", with: "\"")
            #expect(ChatFamily.of(other, endToken: 2)?.name == family)
        }
    }

    /// A template that writes `</s>` out is of no use to a model whose texts end with another token.
    @Test func anEndTokenOfAnotherNumberIsAnotherFamily() throws {
        #expect(ChatFamily.of(try jinja("zephyr"), endToken: 32000) == nil)
        #expect(ChatFamily.of(try jinja("zephyr"), endToken: nil)?.name == "zephyr")
        #expect(ChatFamily.of(try jinja("chatml"), endToken: 151645)?.name == "chatml")
    }

    @Test func aTemplateOfNoRealLengthIsNotLookedAt() throws {
        let text = try jinja("chatml")
        #expect(ChatFamily.of(text + String(repeating: " ", count: 100_000), endToken: nil)?.name == "chatml")
        #expect(ChatFamily.of(text + String(repeating: " ", count: 300_000), endToken: nil) == nil)
    }

    @Test(arguments: [
        "", "{{ messages }}", "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}",
        "<|start|>assistant<|channel|>final<|message|>{{ '<|end|>' }}",
        "'<｜Assistant｜></think>'<｜User｜><｜end▁of▁sentence｜>",
    ])
    func isOfNoFamily(_ jinja: String) { #expect(ChatFamily.of(jinja, endToken: 2) == nil) }
}
