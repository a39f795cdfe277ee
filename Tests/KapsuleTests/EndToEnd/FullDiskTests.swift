import Foundation
import TestSupport
import Testing

/// A disk that is too full is found out before anything is written.
@Suite struct FullDiskTests {
    /// A small file system of its own, gone with the value.
    private final class SmallDisk {
        let path: String
        private let sandbox: Sandbox

        init(_ sandbox: Sandbox, _ path: String, megabytes: Int) throws {
            self.path = path
            self.sandbox = sandbox
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try sandbox.tool("mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path])
        }

        deinit { _ = try? sandbox.tool("umount", ["-l", path]) }
    }

    private static var mayMount: Bool {
        get throws {
            guard getuid() == 0, let unshare = try Tool.find("unshare") else {
                try Tool.skip("needs root, to mount a small file system")
                return false
            }
            let inside = "mount -t tmpfs -o size=1m tmpfs /mnt"
            guard (try? unshare.run(["-m", "sh", "-c", inside])) != nil else {
                try Tool.skip("may not mount a file system here")
                return false
            }
            return true
        }
    }

    enum Act: CaseIterable { case build, layout, directory, verity, emwp, repart, export, unpack, pull }

    @Test(.enabled(if: EndToEnd.hasRegistry), arguments: Act.allCases)
    func saysSoAndLeavesNothing(_ act: Act) throws {
        guard try Self.mayMount else { return }
        let registry = try ThrowawayRegistry()
        let sandbox = try Sandbox()
        let image = "\(registry.host)/m:1"
        let context = try sandbox.context("m", modelfile: "FROM .\n") { try SampleModel.writeFew(to: $0) }
        try sandbox.done("build", "-t", "m:1", "-t", image, context)
        let disk = try SmallDisk(sandbox, "\(sandbox.path)/small", megabytes: 8)
        defer { withExtendedLifetime(disk) {} }

        let key = ["PRIVATE_MODEL_KEY_B64": Data(count: 64).base64EncodedString()]
        let small = ["KAPSULE_HOME": "\(disk.path)/store"]
        func files(_ format: String) throws -> Child.Outcome {
            try sandbox.kapsule(
                "build", "-q", "--format", format, "--model-id", "acme/m@1", "-o", "\(disk.path)/out", context,
                with: key)
        }
        let outcome =
            switch act {
            case .build: try sandbox.kapsule("build", "-q", "-t", "m:1", context, with: small)
            case .layout: try sandbox.kapsule("build", "-q", "-t", "m:1", "-o", "\(disk.path)/out", context)
            case .directory: try files("hf")
            case .verity: try files("verity")
            case .emwp: try files("emwp")
            case .repart: try files("repart")
            case .export: try sandbox.kapsule("export", "-q", "-o", "\(disk.path)/out", "m:1")
            case .unpack: try sandbox.kapsule("export", "-q", "--format", "hf", "-o", "\(disk.path)/out", "m:1")
            case .pull: try sandbox.kapsule("pull", "-q", image, with: small)
            }
        #expect(outcome.status == 4, "\(outcome.errors)")
        #expect(outcome.errors.contains(" free"), "\(outcome.errors)")
        #expect(outcome.errors.contains("\nhelp: free "), "\(outcome.errors)")
        #expect(outcome.output == "")
        let left = try FileTree(disk.path).files.filter {
            !$0.hasSuffix("oci-layout") && !$0.hasSuffix("index.json") && !$0.hasSuffix(".kapsule.lock")
                && !$0.hasSuffix(".kapsule.lock.use")
        }
        #expect(left == [])
        #expect(sandbox.debris == [])
    }
}
