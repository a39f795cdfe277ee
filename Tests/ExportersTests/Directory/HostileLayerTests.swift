import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleIO
import TestSupport
import Testing

@Suite struct HostileLayerTests {
    let directory: TemporaryDirectory
    var target: String { directory.path + "/out" }

    init() throws {
        directory = try TemporaryDirectory()
        try directory.write("outside/secret", "secret")
    }

    /// Refused, with nothing written anywhere.
    private func expectRefusal(
        _ layers: [[Entry]], prefix: String = "models", sourceLocation: SourceLocation = #_sourceLocation
    )
        throws
    {
        for way in Way.allCases {
            let out = "\(target)-\(UUID().uuidString)"
            var options = UnpackOptions()
            options.prefix = prefix
            options.force = true
            let before = try listing(directory.path + "/outside")
            #expect(sourceLocation: sourceLocation) {
                try unpack(layers, into: out, by: way, options: options)
            } throws: {
                ($0 as? KapsuleError)?.code == .unverified
            }
            if layers.count == 1 { #expect(try listing(out).isEmpty, sourceLocation: sourceLocation) }
            #expect(try listing(directory.path + "/outside") == before, sourceLocation: sourceLocation)
            #expect(
                try Set(Directories.names(in: directory.path)).subtracting(["outside"]).allSatisfy {
                    $0.hasPrefix("out-")
                })
        }
    }

    @Test(arguments: [
        "../evil", "models/../../evil", "models/..", "/models/evil", "/etc/passwd", "models//evil", "models/./evil",
        "..", "./../evil", "bin/../../evil", "models/.wh...", "models/.wh.",
    ])
    func refusesPathsThatClimb(_ path: String) throws {
        try expectRefusal([[.file(path, "evil")]])
        try expectRefusal([[.file(path, "evil")]], prefix: "")
    }

    @Test(arguments: ["/etc/passwd", "../outside", "../../outside", "a/../../outside", "x/..", "sub/../..", "/"])
    func refusesLinksThatMayLeadOutside(_ link: String) throws {
        try expectRefusal([[.symbolicLink("models/l", to: link)]])
        try expectRefusal([[.hardLink("models/l", to: link)]])
    }

    @Test func refusesFilesBelowLinks() throws {
        let link = Entry.symbolicLink("models/l", to: "d")
        let file = Entry.file("models/l/f", "evil")
        try expectRefusal([[link, file]])
        try expectRefusal([[link], [file]])
        try expectRefusal([[.directory("models/d"), link], [.directory("models/l/x"), file]])
        try expectRefusal([[.file("models/l", "a file"), file]])
        try expectRefusal([[.symbolicLink("models/l", to: "."), .symbolicLink("models/l/m", to: "..")]])
    }

    @Test(arguments: ["3", "4", "6"] as [Character])
    func refusesDevices(_ type: Character) throws {
        try expectRefusal([[Entry(path: "models/dev", type: type)]])
        // Elsewhere in the image they are nobody's business here.
        #expect(try unpack([[Entry(path: "dev/null", type: type)]], into: target).written == 0)
    }

    @Test func refusesHardLinksToWhatIsNotThere() throws {
        try expectRefusal([[.hardLink("models/h", to: "models/absent")]])
        try expectRefusal([[.file("bin/x", "x"), .hardLink("models/h", to: "bin/x")]])
        try expectRefusal([[.symbolicLink("models/l", to: "x"), .hardLink("models/h", to: "models/l")]])
        try expectRefusal([[.directory("models/d"), .hardLink("models/h", to: "models/d")]])
    }

    @Test func refusesOnePathAsTwoThings() throws {
        try expectRefusal([[.file("models/x", "x"), .directory("models/x")]])
        try expectRefusal([[.directory("models/x"), .symbolicLink("models/x", to: "y")]])
        try expectRefusal([[.file("models", "the target itself")]])
        try expectRefusal([[.file("models/.kapsule-stage-x/1", "x")]])
    }

    /// A link that somebody planted in the target, before or between layers, is not followed.
    @Test(arguments: Way.allCases)
    func plantedLinksLeadNowhere(_ way: Way) throws {
        try Directories.make(target)
        try FileManager.default.createSymbolicLink(
            atPath: target + "/sub", withDestinationPath: directory.path + "/outside")
        var options = UnpackOptions()
        options.force = true
        for name in ["sub/secret", "sub/new", "sub/deep/new"] {
            #expect {
                try unpack([[.file("models/\(name)", "evil")]], into: target, by: way, options: options)
            } throws: {
                ($0 as? KapsuleError)?.id == "output.in-the-way"
            }
        }
        #expect(try listing(directory.path + "/outside") == ["secret 644 secret"])

        // A planted link under the file's own name is replaced, not written through.
        try FileManager.default.createSymbolicLink(
            atPath: target + "/file", withDestinationPath: directory.path + "/outside/secret")
        try unpack([[.file("models/file", "mine")]], into: target, by: way, options: options)
        #expect(try directory.read("outside/secret") == Array("secret".utf8))
        #expect(try FileStatus.of(target + "/file", followsLinks: false)?.kind == .regular)
    }

    /// Random layers over names that collide: never outside, never a crash, and all three ways agree.
    @Test(arguments: 0..<12)
    func randomLayersNeverLeaveTheTarget(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let names = ["a", "b", "a/b", "a/b/c", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "c", "b/d"]
        let targets = ["a", "../a", "b/d", ".", "../../x", "c", "models/a", "models/c"]
        func entry() -> Entry {
            let path = "models/" + names.randomElement(using: &random)!
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return .directory(path)
            case 1: return .symbolicLink(path, to: targets.randomElement(using: &random)!)
            case 2: return .hardLink(path, to: targets.randomElement(using: &random)!)
            default: return .file(path, "\(Int.random(in: 0..<3, using: &random))")
            }
        }
        for turn in 0..<8 {
            let layers = (0..<3).map { _ in (0..<Int.random(in: 1...4, using: &random)).map { _ in entry() } }
            let results = Way.allCases.map { way in
                let out = "\(target)-\(turn)-\(way)"
                return Result {
                    try unpack(layers, into: out, by: way)
                    return try listing(out)
                }
            }
            switch (results[0], results[1], results[2]) {
            case (.success(let a), .success(let b), .success(let c)): #expect(a == b && b == c)
            case (.failure(let a), .failure(let b), .failure(let c)):
                let ids = [a, b, c].map { ($0 as? KapsuleError)?.id }
                #expect(ids[0] != nil && ids[0] == ids[1] && ids[1] == ids[2])
            default: Issue.record("the ways differ: \(results) for \(layers)")
            }
        }
        #expect(try listing(directory.path + "/outside") == ["secret 644 secret"])
    }
}
