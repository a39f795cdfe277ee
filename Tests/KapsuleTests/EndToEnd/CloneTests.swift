import Foundation
import TestSupport
import Testing

/// On a file system that shares blocks between files, outputs of local files take no room of their own.
@Suite struct CloneTests {
    /// A btrfs of its own, gone with the value.
    private final class SharingDisk {
        let path: String
        private let sandbox: Sandbox

        init(_ sandbox: Sandbox, megabytes: Int) throws {
            path = "\(sandbox.path)/btrfs"
            self.sandbox = sandbox
            let image = "\(sandbox.path)/btrfs.img"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try sandbox.tool("truncate", ["-s", "\(megabytes)M", image])
            try sandbox.tool("mkfs.btrfs", ["-q", image])
            try sandbox.tool("mount", ["-o", "loop", image, path])
        }

        deinit { _ = try? sandbox.tool("umount", ["-l", path]) }

        /// Bytes in use on the device.
        func used() throws -> Int {
            try sandbox.tool("sync", ["-f", path])
            let free = try sandbox.tool("stat", ["-f", "-c", "%b %f %S", path]).split(separator: " ")
            let numbers = free.compactMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
            try #require(numbers.count == 3)
            return (numbers[0] - numbers[1]) * numbers[2]
        }
    }

    enum Output: String, CaseIterable { case verity, repart, hf }

    @Test(arguments: Output.allCases)
    func outputsShareTheBlocksOfTheirSources(_ output: Output) throws {
        guard getuid() == 0, try Tool.find("mkfs.btrfs") != nil else {
            return try Tool.skip("needs root and mkfs.btrfs")
        }
        let sandbox = try Sandbox()
        let disk: SharingDisk
        do {
            disk = try SharingDisk(sandbox, megabytes: 400)
        } catch {
            // Not for want of a tool: a container may forbid it.
            print("SKIPPED \(#function): a btrfs cannot be mounted here: \(error)")
            return
        }
        defer { withExtendedLifetime(disk) {} }
        // Large files, of which descriptors are kept: one of whole blocks, and one whose last block is not full.
        let context = try sandbox.context("m", modelfile: "FROM .\n") { folder in
            var random = SeededGenerator(seed: 11)
            for (file, size) in [("a.dat", 17 << 20), ("b.dat", (16 << 20) + 1234)] {
                try Data(random.bytes(size)).write(to: URL(fileURLWithPath: "\(folder)/\(file)"))
            }
        }
        try sandbox.tool("cp", ["-r", context, "\(disk.path)/m"])
        let before = try disk.used()
        for (model, root) in [(context, sandbox.path), ("\(disk.path)/m", disk.path)] {
            try sandbox.done(
                "build", "--no-cache", "--format", output.rawValue, "--model-id", "acme/m@1", "-o", "\(root)/out", model
            )
        }
        let taken = try disk.used() - before
        #expect(taken < 6 << 20)
        try sandbox.tool("diff", ["-r", "\(sandbox.path)/out", "\(disk.path)/out"])
    }
}
