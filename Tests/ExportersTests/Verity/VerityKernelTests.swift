import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// A real kernel, with its own dm-verity and dm-crypt, takes what we make by the commands of `kapsule mount`, and refuses
/// it with one byte flipped. Each guest takes some seconds. See `Tests/Tools/kernel-mount/README.md`.
@Suite(.serialized) struct VerityKernelTests {
    /// What a guest says of an image.
    private enum Verdict: Equatable {
        case accepted(listing: String)
        /// With the step at which it was.
        case refused(at: String)
    }

    private struct NoVerdict: Error, CustomStringConvertible { let description: String }

    private static let tool = "\(TestProgram.directory)/kernel-mount/run.sh"

    /// Where the guest's kernel is kept: with the other tools of the tests.
    private static var cache: String {
        let tools = ProcessInfo.processInfo.environment["KAPSULE_TOOLS"]
        let root = URL(fileURLWithPath: TestProgram.directory).deletingLastPathComponent().deletingLastPathComponent()
        return "\(tools ?? root.appendingPathComponent(".build-tools").path)/kernel-mount"
    }

    /// Fetches nothing on its own: that is for `make setup-test`, and for runs that need all tools.
    private static func isReady() throws -> Bool {
        if ProcessInfo.processInfo.environment["KAPSULE_REQUIRE_TOOLS"] == "1" { return true }
        let kept = (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? []
        if kept.contains(where: { $0.hasPrefix("uml-") || $0.hasPrefix("qemu-") }) { return true }
        try Tool.skip("there is no kernel to try images with: run 'make setup-test'")
        return false
    }

    private func verdict(_ sample: SealedSample) throws -> Verdict {
        let image = try SealedImage(SealedFile(opening: sample.path), sample.claim)
        let plan = MountPlan(image, device: "/dev/image", directory: "/run/model")
        let key = try image.volumeKey(masterKey: SealedSample.masterKey)
        let scripts = try TemporaryDirectory()
        let up = plan.steps.map { $0.command.joined(separator: " ") + ($0.takesKey ? " < /job/key" : "") }
        let down = MountPlan.takeDown(plan.directory, hasCrypt: key != nil).map { $0.joined(separator: " ") }
        var arguments = [
            "mount", sample.path, try scripts.write("up", up.joined(separator: "\n")),
            try scripts.write("down", down.joined(separator: "\n")),
        ]
        if let key { arguments.append(try scripts.write("key", key)) }
        let child = try Child(
            Self.tool, arguments,
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "KM_CACHE": Self.cache],
            in: scripts.path)
        let outcome = try child.wait()
        switch outcome.status {
        case 0: return .accepted(listing: outcome.output)
        case 1:
            let stage = outcome.errors.split(separator: "\n").last?.split(separator: "=").last.map(String.init)
            return .refused(at: stage ?? "")
        default: throw NoVerdict(description: "the guest gave none (\(outcome.status)):\n\(outcome.errors)")
        }
    }

    private func listing(_ contents: [String: [UInt8]]) -> String {
        contents.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            .map { "\(Digest.of(contents[$0]!).hex)  ./\($0)\n" }.joined()
    }

    @Test(arguments: [false, true])
    func aKernelTakesTheImageAndRefusesADamagedOne(_ isEncrypted: Bool) throws {
        guard try Self.isReady() else { return }
        let sample = try SealedSample(isEncrypted: isEncrypted)
        #expect(try verdict(sample) == .accepted(listing: listing(sample.contents)))
        let map = try BlockMap(sample)
        let block = try #require(
            (0..<map.geometry.dataBlocks).last { map.spot(inBlock: $0).says.contains("model.bin") })
        try sample.flip(map.payloadOffset + map.spot(inBlock: block).offset)
        #expect(try verdict(sample) == .refused(at: "read"))
    }
}
