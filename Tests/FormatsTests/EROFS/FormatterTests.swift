import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// A formatter, and the profile that must write the same bytes.
struct FormatterCase: Sendable, CustomTestStringConvertible {
    let profile: EROFS.Profile
    let tool: String
    let options: [String]
    /// `SOURCE_DATE_EPOCH` for the formatter.
    var epoch: String?
    var testDescription: String { "\(profile.name) against \(tool)" }

    /// The formatter of the distribution, which must be release 1.5, as in Debian 12; and on the path under these names,
    /// where somebody has built them, the releases behind the later profiles.
    static let all: [FormatterCase] = [
        .init(profile: .modelwrap1, tool: "mkfs.erofs", options: ["--all-root", "-T0"]),
        .init(profile: .modelwrap2, tool: "mkfs.erofs-1.8.6", options: ["--all-root", "-T0", "-b4096"]),
        .init(profile: .repart186, tool: "mkfs.erofs-1.8.6", options: ["--all-root", "-T0"], epoch: "0"),
        .init(profile: .privatemode, tool: "mkfs.erofs-1.9", options: ["-T0", "-x-1", "--all-root"]),
    ].filter { $0.profile == .modelwrap1 || $0.isInstalled }

    private var isInstalled: Bool {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
    }

    /// Makes `tree` on disk and lets the formatter write an image of it. Nil when there is no formatter.
    func format(_ tree: SampleTree, in directory: TemporaryDirectory) throws -> [UInt8]? {
        guard let formatter = try Tool.find(tool) else { return nil }
        let source = directory.path + "/tree"
        try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
        try tree.make(at: source)
        try formatter.run(
            options + ["-U\(LayoutTests.uuid)", directory.path + "/image", source],
            environment: epoch.map { ["SOURCE_DATE_EPOCH": $0] } ?? [:])
        return try directory.read("image")
    }
}

/// Runs a bounded sample by default; `KAPSULE_CAMPAIGN=<count>` runs as many as named.
func campaign(default sample: Int) -> Int {
    ProcessInfo.processInfo.environment["KAPSULE_CAMPAIGN"].flatMap { Int($0) } ?? sample
}

@Suite struct FormatterTests {
    @Test(arguments: FormatterCase.all)
    func imagesEqualTheFormatters(_ formatter: FormatterCase) throws {
        let longest = formatter.profile.layout == .depthFirst ? 254 : 255
        for number in 0..<campaign(default: 16) {
            let directory = try TemporaryDirectory()
            let sample = Corpus.tree(number, longestName: longest)
            guard let expected = try formatter.format(sample, in: directory) else { return }
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
