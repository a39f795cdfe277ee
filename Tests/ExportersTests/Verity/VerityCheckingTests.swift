import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// What `kapsule verify` does: every byte of the file counts, and nothing in it is believed.
@Suite struct VerityCheckingTests {
    @Test(arguments: EROFS.Profile.all)
    func aSoundImageIsWhole(_ profile: EROFS.Profile) async throws {
        try await SealedSample(profile).verify()
    }

    /// One byte of every block, in turn; what holds content is named.
    @Test(arguments: EROFS.Profile.all)
    func aFlippedByteInAnyBlockIsRefused(_ profile: EROFS.Profile) async throws {
        let sample = try SealedSample(profile)
        let map = try BlockMap(sample)
        #expect(map.geometry.levels.count == 2)
        // Of the others a few: how a profile lays out files makes no difference here.
        for block in stride(from: 0, to: try sample.size / 4096, by: profile == .modelwrap2 ? 1 : 9) {
            let spot = map.spot(inBlock: Int64(block))
            try sample.flip(spot.offset)
            let error = try #require(try await sample.refusal(), "block \(block)")
            #expect(error.code == .unverified, "block \(block)")
            #expect(error.message.contains(spot.says), "block \(block): \(error.message), not \(spot.says)")
            try sample.flip(spot.offset)
        }
        try await sample.verify()
    }

    @Test func aFlippedByteInAnyBlockOfAnEncryptedDiskIsRefused() async throws {
        let sample = try SealedSample(isEncrypted: true)
        let map = try BlockMap(sample)
        let payload = Int(map.payloadOffset / 4096)
        // All of the image, and some of the zeros in front of it.
        for block in Array(0..<8) + stride(from: 8, to: payload, by: 31) + (payload..<(try sample.size) / 4096) {
            let inside = Int64(block * 4096) - map.payloadOffset
            let spot = map.spot(inBlock: inside / 4096)
            let isPayload = inside >= 0 && inside < map.geometry.end
            let offset = isPayload ? map.payloadOffset + spot.offset : Int64(block * 4096 + block * 37 % 4096)
            try sample.flip(offset)
            let error = try #require(try await sample.refusal(), "block \(block)")
            #expect(error.code == .unverified, "block \(block): \(error.message)")
            // Sixteen bytes are noise then, and may hit more than one file's tail.
            if isPayload, spot.says.contains("weights") {
                #expect(error.message.contains(spot.says), "block \(block): \(error.message)")
            }
            try sample.flip(offset)
        }
        try await sample.verify()
    }

    @Test(arguments: [false, true])
    func aFlippedByteAnywhereIsRefused(_ isEncrypted: Bool) async throws {
        let sample = try SealedSample(isEncrypted: isEncrypted)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<40 {
            let offset = Int64(Int.random(in: 0..<(try sample.size), using: &random))
            try sample.flip(offset)
            #expect(try await sample.refusal()?.code == .unverified, "byte \(offset)")
            try sample.flip(offset)
        }
    }

    @Test(arguments: [false, true])
    func anotherLengthIsRefused(_ isEncrypted: Bool) async throws {
        let sample = try SealedSample(isEncrypted: isEncrypted)
        let size = try sample.size
        let whole = try Data(contentsOf: URL(fileURLWithPath: sample.path))
        for length in [1, 4095, size / 2, size - 4096, size - 1, size + 1, size + 4096] {
            let bytes = length <= size ? whole.prefix(length) : whole + Data(count: length - size)
            try bytes.write(to: URL(fileURLWithPath: sample.path))
            #expect(try await sample.refusal()?.code == .unverified, "\(length) of \(size) bytes")
        }
    }

    @Test func anotherRootHashOrSaltIsRefused() async throws {
        let sample = try SealedSample()
        var claim = sample.claim
        claim.reference?.root = .of("another")
        #expect(try await sample.refusal(claim)?.id == "verity.other-root")
        claim = ImageClaim(reference: sample.reference, salt: [0])
        #expect(try await sample.refusal(claim)?.id == "verity.other-root")
        claim = ImageClaim(reference: sample.reference, modelID: "org/model@2")
        #expect(try await sample.refusal(claim)?.code == .usage)
        claim.reference?.uuid = nil
        #expect(try await sample.refusal(claim)?.id == "verity.other-root")
    }

    @Test func anotherHashOffsetIsRefused() async throws {
        let sample = try SealedSample()
        let offset = try #require(sample.reference.hashOffset)
        for other in [4096, offset - 4096, offset + 4096, offset * 2, 1 << 50] {
            var claim = sample.claim
            claim.hashOffset = other
            #expect(try await sample.refusal(claim)?.code == .unverified, "\(other)")
        }
    }

    @Test func anEncryptedDiskNeedsItsKey() async throws {
        let sample = try SealedSample(isEncrypted: true)
        var claim = sample.claim
        claim.masterKey?[3] ^= 1
        #expect(try await sample.refusal(claim)?.code == .undecryptable)
        claim.masterKey = nil
        #expect(try await sample.refusal(claim)?.id == "emwp.no-key")
        claim = sample.claim
        claim.reference?.root = .of("another")
        #expect(try await sample.refusal(claim)?.id == "verity.disk")
        claim = ImageClaim(reference: sample.reference, modelID: "org/model@2", masterKey: SealedSample.masterKey)
        #expect(try await sample.refusal(claim)?.code == .usage)
    }

    /// What lies beside the image, and what it says of itself, are used where nothing else is said; and it is told.
    @Test(arguments: EROFS.Profile.all)
    func whatIsBelievedIsTold(_ profile: EROFS.Profile) async throws {
        let sample = try SealedSample(profile)
        let file = try SealedFile(opening: sample.path)
        let isPrivatemode = profile == .privatemode
        let image = try SealedImage(file, ImageClaim())
        #expect(image.notes.count == (isPrivatemode ? 1 : 2))
        try await image.verify(workers: 1)
        let root = ImageClaim(reference: RootReference(root: sample.reference.root))
        #expect(try SealedImage(file, root).notes.count == (isPrivatemode ? 0 : 2))
        #expect(try SealedImage(file, sample.claim).notes.isEmpty)
        #expect(try SealedImage(file, root).hashOffset == sample.reference.hashOffset)
    }

    @Test func withoutAnythingToCheckAgainstNothingIsSaid() async throws {
        let sample = try SealedSample()
        try FileManager.default.removeItem(atPath: String(sample.path.dropLast(4)) + ".info")
        #expect(try await sample.refusal(ImageClaim())?.id == "verity.no-root")
    }

    @Test(arguments: ["", "abc", "g\(String(repeating: "0", count: 63))", "\(Digest.of("").hex)_7", "_4096"])
    func whatIsNoReferenceIsRefused(_ text: String) {
        #expect { try RootReference(parsing: text) } throws: { ($0 as? KapsuleError)?.code == .usage }
    }

    /// Both look at the same bytes with the same parameters, and agree on each block.
    @Test func veritysetupAgrees() async throws {
        guard let veritysetup = try Tool.find("veritysetup") else { return }
        let sample = try SealedSample()
        let map = try BlockMap(sample)
        let image = try SealedImage(SealedFile(opening: sample.path), sample.claim)
        let open = MountPlan(image, device: sample.path, directory: "/mnt").steps[0].command
        let arguments = ["verify"] + open.dropFirst(2).dropLast(4) + [sample.path, sample.path, image.root.hex]
        try veritysetup.run(Array(arguments))
        for block in stride(from: 0, to: try sample.size / 4096, by: 13) where block != map.geometry.dataBlocks {
            let spot = map.spot(inBlock: Int64(block))
            try sample.flip(spot.offset)
            #expect(throws: Tool.Failed.self, "block \(block)") { try veritysetup.run(Array(arguments)) }
            try sample.flip(spot.offset)
        }
    }

    /// A disk as systemd-repart makes it, put together from veritysetup's tree.
    @Test func aDiskOfDataAndHashesIsChecked() async throws {
        guard let sample = try RepartSample() else { return }
        let claim = ImageClaim(reference: RootReference(root: sample.root))
        func refusal() async throws -> KapsuleError? {
            do {
                try await SealedImage(SealedFile(opening: sample.path), claim).verify(workers: 2)
                return nil
            } catch let error as KapsuleError { return error }
        }
        #expect(try await refusal()?.message == nil)
        #expect(try SealedImage(SealedFile(opening: sample.path), ImageClaim()).root == sample.root)
        for (offset, says) in sample.spots {
            try sample.flip(offset)
            let error = try #require(try await refusal(), "byte \(offset)")
            #expect(error.code == .unverified && error.message.contains(says), "byte \(offset): \(error.message)")
            try sample.flip(offset)
        }
        let target = "\(sample.directory.path)/out"
        let readable = try ReadableImage(SealedImage(SealedFile(opening: sample.path), claim))
        _ = try await ImageExtractor(readable, UnpackOptions(), progress: SilentProgress()).extract(into: target)
        #expect(try filesBelow(target) == SealedSample.contents())
    }
}
