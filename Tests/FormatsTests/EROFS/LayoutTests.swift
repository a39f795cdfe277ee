import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct LayoutTests {
    static let uuid = UUIDBytes(parsing: "11112222-3333-5444-8555-666677778888")!

    /// Directory T of the format's test vectors.
    static func vector() -> SampleTree {
        var tree = SampleTree()
        func run(_ letter: Character, _ count: Int) -> SampleTree.Kind {
            .file([UInt8](repeating: letter.asciiValue!, count: count))
        }
        tree.add("a", run("a", 0))
        tree.add("b", run("b", 100))
        tree.add("c", run("c", 4096))
        tree.add("d", run("d", 4066))
        let e = tree.add("e", .directory)
        tree.add("f", in: e, run("f", 5000))
        tree.add("g", .link(Array("b".utf8)))
        tree.add("+h", run("h", 8200))
        return tree
    }

    @Test(arguments: [
        (EROFS.Profile.modelwrap1, "c7499b0e5d37fb8ff74803e46bd0e4faff16a8d8f911b11eb6f285de231b095a"),
        (.modelwrap2, "70ff84d12feb4305d9035603191130daaf2b9663ceb9804f1f93a994b20b8524"),
        (.privatemode, "1cec277fa9fa36012714a98e59e36913194d315be992c37d71b35f15dcac1d3d"),
    ])
    func theVectorHasItsDigest(_ profile: EROFS.Profile, _ digest: String) throws {
        let tree = Self.vector()
        let map = try EROFS.layOut(tree.tree(), as: profile, uuid: Self.uuid)
        #expect(map.size == 24576)
        #expect(Digest.of(assemble(map, tree.contents)).hex == digest)
    }

    @Test(arguments: [
        (EROFS.Profile.modelwrap1, "0f2610c260a65fe15d07f21a1a201dfb305950e54c2d3b30ecd99c19dcad3d2d"),
        (.modelwrap2, "30688015c9ffa97760f54083f6cb06203bf75e81cca8e43a09ef47ce893973f7"),
        (.privatemode, "1c20d35dc5146239e5550332021581658714a431faa0635635d42fc3e8806787"),
    ])
    func anEmptyDirectoryHasItsDigest(_ profile: EROFS.Profile, _ digest: String) throws {
        let map = try EROFS.layOut(EROFS.Tree(), as: profile, uuid: Self.uuid)
        #expect(Digest.of(assemble(map, [])).hex == digest)
    }
}
