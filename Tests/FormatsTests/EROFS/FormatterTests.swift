import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// A formatter, and the profile that must write the same bytes.
struct FormatterCase: Sendable, CustomTestStringConvertible {
    let profile: EROFS.Profile
    let tool: ReferenceTool
    let options: [String]
    var testDescription: String { "\(profile.name) against \(tool.name)" }

    /// Every formatter there is here. `mkfs.erofs` of the path must be 1.5; the later ones are named by the environment.
    static let all: [FormatterCase] = {
        var cases: [FormatterCase] = []
        if let tool = ReferenceTool.mkfs, let version = try? tool.run(["--version"]), version.text.contains("1.5") {
            cases.append(.init(profile: .modelwrap1, tool: tool, options: ["--all-root", "-T0"]))
        }
        if let tool = ReferenceTool.mkfs186 {
            cases.append(.init(profile: .modelwrap2, tool: tool, options: ["--all-root", "-T0", "-b4096"]))
        }
        if let tool = ReferenceTool.mkfs19 {
            cases.append(.init(profile: .privatemode, tool: tool, options: ["-T0", "-x-1", "--all-root"]))
        }
        return cases
    }()

    /// Makes `tree` on disk and lets the formatter write an image of it. Nil when it refuses.
    func format(_ tree: SampleTree, in directory: TemporaryDirectory) throws -> [UInt8]? {
        let source = directory.path + "/tree"
        try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
        try tree.make(at: source)
        let result = try tool.run(options + ["-U\(LayoutTests.uuid)", directory.path + "/image", source])
        return result.status == 0 ? try directory.read("image") : nil
    }
}

@Suite struct FormatterTests {
    // Runs where erofs-utils 1.5 is installed, as in Debian 12; elsewhere it says that nothing was compared.
    @Test(.enabled(if: ReferenceTool.shouldRun(ReferenceTool.mkfs, named: "mkfs.erofs 1.5")))
    func theReferenceFormatterIsHere() throws {
        try #require(!FormatterCase.all.isEmpty, "mkfs.erofs 1.5 is needed to compare with")
        #expect(FormatterCase.all.first?.profile == .modelwrap1)
    }

    @Test(arguments: FormatterCase.all)
    func imagesEqualTheFormatters(_ formatter: FormatterCase) throws {
        let longest = formatter.profile.layout == .depthFirst ? 254 : 255
        for number in 0..<campaign(default: 16) {
            let directory = try TemporaryDirectory()
            let sample = Corpus.tree(number, longestName: longest)
            let expected = try #require(try formatter.format(sample, in: directory), "tree \(number)")
            let map = try EROFS.layOut(sample.tree(), as: formatter.profile, uuid: LayoutTests.uuid)
            let image = assemble(map, sample.contents)
            #expect(image.count == expected.count, "tree \(number)")
            #expect(image == expected, "tree \(number) differs at \(firstDifference(image, expected))")
        }
    }
}

func firstDifference(_ a: [UInt8], _ b: [UInt8]) -> String {
    let index = zip(a, b).enumerated().first { $1.0 != $1.1 }?.offset ?? min(a.count, b.count)
    return
        "byte \(index): \(Array(a.dropFirst(index / 16 * 16).prefix(16))) \(Array(b.dropFirst(index / 16 * 16).prefix(16)))"
}
