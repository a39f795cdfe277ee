import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// Frozen digests of images, so that a change of bytes can never pass unseen. See `test_fixtures/verity/README.md`.
@Suite struct GoldenTests {
    static let identity = "example-org/example-model@0123456789abcdef0123456789abcdef01234567"
    static let file = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("test_fixtures/verity/golden.txt")

    static let trees: [(name: String, tree: SampleTree)] =
        [("empty", SampleTree()), ("vector", LayoutTests.vector())]
        + (0..<16).map { ("corpus-\($0)", Corpus.tree($0)) }

    /// A line an image: profile, tree, digest of image with tree, root hash.
    private func line(_ profile: EROFS.Profile, _ name: String, _ tree: SampleTree) async throws -> String {
        let isPrivatemode = profile == .privatemode
        let uuid = isPrivatemode ? UUIDBytes.zero : UUIDBytes(name: "\(Self.identity)-inner")
        let salt = isPrivatemode ? [0] : Digest.of(Self.identity).bytes
        let map = try EROFS.layOut(tree.tree(), as: profile, uuid: uuid)
        let image = try await VerityImage(assemble(map, tree.contents), salt: salt, uuid: uuid)
        return "\(profile.name) \(name) \(Digest.of(image.bytes).hex) \(image.root.hex)"
    }

    @Test func bytesAreAsTheyWere() async throws {
        var lines: [String] = []
        for profile in EROFS.Profile.all {
            for (name, tree) in Self.trees { lines.append(try await line(profile, name, tree)) }
        }
        lines.append(try await encryptedDisk())
        let text = lines.joined(separator: "\n") + "\n"
        if ProcessInfo.processInfo.environment["KAPSULE_RECORD"] == "1" {
            try text.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOf: Self.file, encoding: .utf8)
        for (made, frozen) in zip(lines, golden.split(separator: "\n")) { #expect(made == frozen) }
        #expect(text == golden)
    }

    /// The vector's image of the first profile in an encrypted disk, under master key 00 01 … 3F.
    private func encryptedDisk() async throws -> String {
        let sample = LayoutTests.vector()
        let uuid = UUIDBytes(name: "\(Self.identity)-inner")
        let map = try EROFS.layOut(sample.tree(), as: .modelwrap1, uuid: uuid)
        let image = try await VerityImage(
            assemble(map, sample.contents), salt: Digest.of(Self.identity).bytes, uuid: uuid)
        let disk = EMWPDisk(identity: Self.identity, plaintextSize: Int64(image.bytes.count))
        var encrypted = [UInt8](repeating: 0, count: image.bytes.count)
        var span = encrypted.mutableSpan
        try disk.cipher(masterKey: (0..<64).map { UInt8($0) }, root: image.root)
            .encrypt(image.bytes.span, into: &span, at: 0)
        let table = disk.table(root: image.root)
        let head = table.encodeHead()
        let gap = [UInt8](repeating: 0, count: Int(disk.payloadOffset) - head.count)
        let behind = [UInt8](repeating: 0, count: Int(table.tailOffset) - Int(disk.payloadOffset) - encrypted.count)
        let bytes = head + gap + encrypted + behind + table.encodeTail()
        #expect(Int64(bytes.count) == disk.size)
        return "emwp vector \(Digest.of(bytes).hex) \(image.root.hex)"
    }
}
