import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleIO
import TestSupport
import Testing

/// The commands of `kapsule mount`, and the running of them. That a kernel takes them: `VerityKernelTests`.
@Suite struct VerityMountTests {
    private func plan(_ sample: SealedSample, at directory: String = "/srv/my model") throws -> MountPlan {
        MountPlan(
            try SealedImage(SealedFile(opening: sample.path), sample.claim), device: "/var/lib/model's.mpk",
            directory: directory)
    }

    @Test func theCommandsLeaveNothingToBeRead() throws {
        let sample = try SealedSample()
        let plan = try plan(sample)
        let offset = try #require(sample.reference.hashOffset)
        let (root, salt) = (
            sample.reference.root.hex, plan.image.salt.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        )
        #expect(
            MountRecipe.commands.text(plan, keyFile: nil) == """
                veritysetup open --no-superblock --format=1 --hash=sha256 --data-block-size=4096 --hash-block-size=4096 \
                --data-blocks=\(offset / 4096) --hash-offset=\(offset + 4096) --salt=\(salt.joined()) \
                '/var/lib/model'\\''s.mpk' \(plan.name) '/var/lib/model'\\''s.mpk' \(root)
                mount -t erofs -o ro,nodev,nosuid,noexec /dev/mapper/\(plan.name) '/srv/my model'
                """)
        #expect(plan.name == MountPlan.name(forMountAt: "/srv/my model"))
        #expect(plan.name != MountPlan.name(forMountAt: "/srv/my model2"))
    }

    @Test func theRecipesNameEveryParameter() throws {
        let plan = try plan(SealedSample())
        let units = MountRecipe.systemd.text(plan, keyFile: nil)
        #expect(units.contains("# /etc/systemd/system/srv-my\\x20model.mount\n"))
        #expect(units.contains("ExecStart=veritysetup open --no-superblock "))
        #expect(units.contains("Where=/srv/my model\n"))
        let tabs = MountRecipe.fstab.text(plan, keyFile: nil)
        #expect(
            tabs.contains(" superblock=no,format=1,hash=sha256,data-block-size=4096,hash-block-size=4096,data-blocks="))
        #expect(tabs.contains("/dev/mapper/\(plan.name) /srv/my\\040model erofs ro,nodev,nosuid,noexec,"))
        let blocks = plan.image.geometry.dataBlocks
        #expect(
            MountRecipe.kata.text(plan, keyFile: nil).contains(
                "dm-mod.create=\\\"\(plan.name),,,ro,0 \(blocks * 8) verity 1 /dev/vdb /dev/vdb 4096 4096 \(blocks) "
                    + "\(blocks + 1) sha256 \(plan.image.root.hex) "))
    }

    /// What is printed makes the key that the disk was written with.
    @Test func theRecipeForTheKeyGivesTheKey() throws {
        guard let shell = try Tool.find("sh"), try Tool.find("python3") != nil else { return }
        let sample = try SealedSample(isEncrypted: true)
        let plan = try plan(sample)
        let keyFile = try sample.directory.write("key", Data(SealedSample.masterKey).base64EncodedString())
        let lines = MountRecipe.commands.text(plan, keyFile: keyFile).split(separator: "\n")
        let function = lines.prefix { !$0.hasPrefix("volume_key |") } + ["volume_key"]
        #expect(
            try shell.run(["-c", function.joined(separator: "\n")])
                == plan.image.volumeKey(masterKey: SealedSample.masterKey))
        for recipe in MountRecipe.allCases {
            #expect(!recipe.text(plan, keyFile: keyFile).contains(Data(SealedSample.masterKey).base64EncodedString()))
        }
    }

    // MARK: Running

    /// Programs that note how they are called, and where `failing` ends with an error.
    private func machine(failing: String) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try directory.write("log", "")
        for name in ["cryptsetup", "veritysetup", "mount", "umount", "cat"] {
            let body =
                name == "cat"
                ? "echo 252 device-mapper"
                : "echo \"\(name) $*\" >> '\(directory.path)/log'\n"
                    + (name == "cryptsetup" ? "[ $1 = close ] || /bin/cat > '\(directory.path)/key'\n" : "")
                    + (name == failing ? "echo no such thing >&2; exit 32" : "")
            let path = try directory.write("bin/\(name)", "#!/bin/sh\n\(body)\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        return directory
    }

    private func log(_ machine: TemporaryDirectory) throws -> [String] {
        String(decoding: try machine.read("log"), as: UTF8.self).split(separator: "\n")
            .map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
    }

    private func mounter(_ machine: TemporaryDirectory) -> Mounter {
        Mounter(environment: ["PATH": "\(machine.path)/bin"])
    }

    @Test func theKeyGoesToStandardInputAlone() throws {
        guard Ownership.effectiveUser == 0 else { return try Tool.skip("mounting needs root") }
        let machine = try machine(failing: "")
        let plan = try plan(SealedSample(isEncrypted: true))
        let key = try #require(try plan.image.volumeKey(masterKey: SealedSample.masterKey))
        try mounter(machine).mount(plan, volumeKey: key)
        #expect(try log(machine) == ["cryptsetup open", "veritysetup open", "mount -t"])
        #expect(try machine.read("key") == key)
    }

    @Test(arguments: [
        ("mount", ["cryptsetup open", "veritysetup open", "mount -t", "veritysetup close", "cryptsetup close"]),
        ("veritysetup", ["cryptsetup open", "veritysetup open", "cryptsetup close"]),
        ("cryptsetup", ["cryptsetup open"]),
    ])
    func whatWasDoneIsTakenBack(_ failing: String, _ calls: [String]) throws {
        guard Ownership.effectiveUser == 0 else { return try Tool.skip("mounting needs root") }
        let machine = try machine(failing: failing)
        let plan = try plan(SealedSample(isEncrypted: true))
        #expect {
            try mounter(machine).mount(plan, volumeKey: [UInt8](repeating: 1, count: 64))
        } throws: { ($0 as? KapsuleError)?.message == "\(failing) failed: no such thing" }
        #expect(try log(machine) == calls)
    }

    @Test func whatIsNoMountOfOursStays() throws {
        let machine = try machine(failing: "")
        #expect { try mounter(machine).unmount("/srv/never") } throws: { ($0 as? KapsuleError)?.id == "mount.not-ours" }
        #expect(try log(machine).isEmpty)
    }
}
