import Builder
import Foundation
import FoundationXML
import KapsuleCore
import Testing

@Suite struct PlanPrintingTests {
    typealias Samples = PlanSamples

    static let names = ["two-outputs", "hostile-names"]

    static func plan(_ name: String) throws -> Plan {
        switch name {
        case "two-outputs":
            try Samples.plan(
                Samples.configs + [
                    .init(path: "model-00001-of-00002.safetensors", size: 5_000_000_000, isCached: true),
                    .init(path: "model-00002-of-00002.safetensors", size: 3_000_000_000),
                ], to: [Samples.oci, "verity → out/model.img"])
        case "hostile-names": try Samples.plan(Samples.hostile, to: ["oci → \"x\"]<&>:1", "verity"])
        case "empty": Plan()
        case "hundreds": try Samples.plan(Samples.shards(320, cachedEvery: 7), to: [Samples.oci, "verity"])
        default: try Samples.plan(Samples.configs + Samples.shards(30), from: ["hf://acme/base", "oci://b"])
        }
    }

    static let every = names + ["empty", "hundreds", "two-sources"]

    @Test(arguments: names, PlanFormat.allCases)
    func isPrintedAsRecorded(_ name: String, _ format: PlanFormat) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../test_fixtures/plans").standardized
        let file = folder.appendingPathComponent("\(name).\(format == .text ? "txt" : format.rawValue)")
        let printed = try Self.plan(name).rendered(as: format)
        if ProcessInfo.processInfo.environment["KAPSULE_RECORD"] == "1" {
            try Data(printed.utf8).write(to: file)
        }
        #expect(try String(decoding: Data(contentsOf: file), as: UTF8.self) == printed)
    }

    @Test(arguments: every, PlanFormat.allCases)
    func holdsNothingThatCommandsATerminal(_ name: String, _ format: PlanFormat) throws {
        let printed = try Self.plan(name).rendered(as: format)
        #expect(printed.hasSuffix("\n"))
        let controls = printed.unicodeScalars.filter { $0 != "\n" && $0.properties.generalCategory == .control }
        #expect(controls.isEmpty)
        #expect(!printed.unicodeScalars.contains("\u{202E}"))
        #expect(try Self.plan(name).rendered(as: format) == printed)
    }

    @Test(arguments: every)
    func svgIsWellFormedAndNamesEveryNodeInFull(_ name: String) throws {
        final class Reader: NSObject, XMLParserDelegate {
            var elements: [String: Int] = [:]
            var text = ""
            func parser(
                _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
                attributes: [String: String]
            ) { elements[name, default: 0] += 1 }
            func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
        }
        let plan = try Self.plan(name)
        let reader = Reader()
        let parser = XMLParser(data: Data(plan.rendered(as: .svg).utf8))
        parser.delegate = reader
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        #expect(reader.elements["title", default: 0] == plan.nodes.count)
        #expect(reader.elements["script"] == nil)
        for node in plan.nodes where !node.step.subject.unicodeScalars.contains(where: { $0 == "\\" || $0.value < 32 })
        {
            #expect(node.step.subject.contains("\u{202E}") || reader.text.contains(node.step.subject))
        }
    }

    @Test func svgDrawsHundredsOfParallelEdgesAsFew() throws {
        let svg = try Self.plan("hundreds").rendered(as: .svg)
        #expect(svg.components(separatedBy: "class=\"edge\"").count - 1 == 3)
    }

    @Test func shardsInLittleRoomKeepTheirNumbers() throws {
        let prefix = String(repeating: "a-very-long-directory-name/", count: 3)
        let files = Samples.shards(60).map { Samples.File(path: prefix + $0.path, size: $0.size) }
        let svg = try Samples.plan(files).rendered(as: .svg)
        for number in 1...60 { #expect(svg.contains(">…\(String(100_000 + number).dropFirst())-of-00060")) }
    }

    @Test(arguments: every)
    func jsonHoldsEveryNodeWithAllMembers(_ name: String) throws {
        struct Document: Decodable {
            struct Node: Decodable {
                let id: Int
                let kind: String
                let subject: String
                let size: Int64?
                let outputs: [String]
                let inputs: [Int]
                let state: String
                let key: String?
                let line: Int?
            }
            struct Totals: Decodable {
                let nodes, files, outputs: Int
                let bytesToRead, bytesCached: Int64
            }
            let nodes: [Node]
            let totals: Totals
        }
        let plan = try Self.plan(name)
        let document = try JSONDecoder().decode(Document.self, from: Data(plan.rendered(as: .json).utf8))
        #expect(document.nodes.map(\.id) == Array(plan.nodes.indices.map { $0 + 1 }))
        #expect(document.nodes.map(\.subject) == plan.nodes.map(\.step.subject))
        #expect(document.nodes.map(\.outputs) == plan.nodes.map(\.step.outputs))
        #expect(document.nodes.map(\.inputs) == plan.nodes.map { $0.inputs.map { $0.index + 1 } })
        #expect(document.nodes.map(\.key) == plan.nodes.map { $0.step.key?.description })
        #expect(document.nodes.map(\.line) == plan.nodes.map { $0.span?.line })
        #expect(document.totals.nodes == plan.nodes.count)
    }

    /// What Graphviz reads back has all nodes, and a label that looks as ours was meant.
    @Test(arguments: every)
    func dotIsAcceptedByGraphviz(_ name: String) throws {
        let plan = try Self.plan(name)
        guard let svg = try Graphviz.draw(plan.rendered(as: .dot)) else { return }
        #expect(svg.components(separatedBy: "class=\"node\"").count - 1 >= plan.nodes.count)
        if name == "hostile-names" {
            #expect(svg.contains("a\\nb.bin"))
            #expect(svg.contains("&lt;b&gt;&amp;amp;#35;&lt;/b&gt;.bin"))
        }
    }

    @Test(arguments: every)
    func mermaidStaysBelowItsLimitsAndQuotesEveryLabel(_ name: String) throws {
        let plan = try Self.plan(name)
        let lines = plan.rendered(as: .mermaid).split(separator: "\n")
        let nodes = lines.filter { $0.contains("[\"") && !$0.contains("subgraph") }
        #expect(nodes.count == plan.nodes.count)
        for line in nodes {
            #expect(line.filter { $0 == "\"" }.count == 2, "\(line)")
            let label = line.split(separator: "\"")[1].replacingOccurrences(of: "<br/>", with: "")
            #expect(!label.contains { "<>[]{}`\\".contains($0) }, "\(label)")
        }
        let edges = lines.filter { $0.contains(" --> ") }.map { edge in
            edge.components(separatedBy: " --> ").map { $0.filter { $0 == "&" }.count + 1 }.reduce(1, *)
        }
        #expect(edges.reduce(0, +) <= 500)
    }

    @Test func textTellsNeighboursTogether() throws {
        let text = try Self.plan("hundreds").rendered(as: .text)
        #expect(text.contains("← 2-321\n"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
        #expect(Plan().rendered(as: .text) == "nothing to do\n")
    }
}
