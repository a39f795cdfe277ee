import Foundation
import TestSupport
import Testing

/// `verify`, `inspect`, `export` and `mount` of image files, with the built program.
@Suite struct VerityCommandTests {
    private static let identity = "acme/tiny@1"
    private static let masterKey = Data((0..<64).map { UInt8($0) }).base64EncodedString()

    /// A sandbox with an image and an encrypted disk of one small model, and its master key in `key`.
    private struct Images {
        let sandbox: Sandbox
        let model: String
        let image = "out/acme/tiny/1.mpk"
        let disk = "out/acme/tiny/1.emwp"
        let reference: String
        let diskReference: String

        init() throws {
            sandbox = try Sandbox()
            model = try sandbox.context("model", modelfile: "FROM .\n")
            try sandbox.directory.write("desk/key", masterKey)
            reference = try Self.build(["verity"], model, sandbox)
            diskReference = try Self.build(["emwp", "--key-file", "key"], model, sandbox)
        }

        private static func build(_ format: [String], _ model: String, _ sandbox: Sandbox) throws -> String {
            let common = ["build", "-q", "-o", "out", "--model-id", identity, "--format"]
            let outcome = try sandbox.start(common + format + [model]).wait()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return String(outcome.output.dropLast())
        }

        func flip(_ file: String, _ offset: UInt64) throws {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: "\(sandbox.path)/desk/\(file)"))
            try file.seek(toOffset: offset)
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: offset)
            try file.write(contentsOf: [byte ^ 1])
        }
    }

    @Test func verifySaysWholeInOneLine() throws {
        let images = try Images()
        let said = try images.sandbox.done(
            "verify", "-q", images.image, "--root-hash", images.reference, "--model-id", Self.identity)
        #expect(said == "\(images.image): \(images.reference) is whole")
        #expect(
            try images.sandbox.done("verify", "-q", images.disk, with: ["PRIVATE_MODEL_KEY_B64": Self.masterKey])
                == "\(images.disk): \(images.diskReference) is whole")
        let noted = try images.sandbox.kapsule("verify", images.image)
        #expect(noted.status == 0 && noted.errors.contains("note: the root hash is from out/acme/tiny/1.info"))
    }

    @Test func exitStatusesTellDamageKeyAndUsageApart() throws {
        let images = try Images()
        let sandbox = images.sandbox
        try sandbox.directory.write("desk/other", Data(count: 63).base64EncodedString())
        try sandbox.directory.write("desk/wrong", Data(repeating: 7, count: 64).base64EncodedString())
        #expect(try sandbox.kapsule("verify", images.disk).status == 2)
        #expect(try sandbox.kapsule("verify", images.disk, "--key-file", "other").status == 2)
        #expect(try sandbox.kapsule("verify", images.disk, "--key-file", "wrong").status == 9)
        #expect(try sandbox.kapsule("verify", images.image, "--root-hash", "abc").status == 2)
        #expect(try sandbox.kapsule("verify", "nothing.mpk", "--root-hash", images.reference).status == 2)
        #expect(try sandbox.kapsule("verify", images.image, "--salt", "00").status == 8)
        try images.flip(images.image, 5000)
        let damaged = try sandbox.kapsule("verify", "-q", images.image)
        #expect(damaged.status == 8 && damaged.output.isEmpty)
        #expect(damaged.errors.contains("block 1 of the data (/"))
        try images.flip(images.disk, (1 << 20) + 5000)
        let disk = try sandbox.kapsule("verify", "-q", images.disk, "--key-file", "key")
        #expect(disk.status == 8 && disk.errors.contains("block 1 of the data (/"))
    }

    @Test func encryptNamesTheMasterKeyOfADisk() throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("model", modelfile: "FROM .\nENCRYPT emwp:env:MODEL_KEY\n")
        let build = ["build", "-q", "--verify", "-o", "out", "--model-id", Self.identity]
        let made = try sandbox.start(
            build + ["--format", "emwp", model], ["MODEL_KEY": Self.masterKey]
        ).wait()
        #expect(made.status == 0, "\(made.errors)")
        try sandbox.directory.write("desk/key", Self.masterKey)
        #expect(try sandbox.kapsule("verify", "out/acme/tiny/1.emwp", "--key-file", "key").status == 0)
        let unset = try sandbox.start(build + ["--force", "--format", "emwp", model]).wait()
        #expect(unset.status == 2 && unset.errors.contains("Modelfile:2:") && unset.errors.contains("MODEL_KEY"))
        for plain in [["--format", "verity"], ["--format", "oci"]] {
            let refused = try sandbox.start(build + plain + [model], ["MODEL_KEY": Self.masterKey]).wait()
            #expect(refused.status == 2 && refused.errors.contains("cannot carry it"), "\(plain)")
        }
    }

    @Test func inspectShowsWhatThereIs() throws {
        let images = try Images()
        let found = try EndToEnd.object(images.sandbox.done("inspect", "--json", images.image))
        let parts = images.reference.split(separator: "_").map(String.init)
        #expect(found["kind"] as? String == "verity" && found["profile"] as? String == "modelwrap-2")
        #expect(found["rootHash"] as? String == parts[0] && found["topAgrees"] as? Bool == true)
        #expect(found["hashOffset"] as? Int == Int(parts[1]) && found["uuid"] as? String == parts[2])
        let files = try #require(found["files"] as? [[String: Any]])
        #expect(files.contains { $0["path"] as? String == "/config.json" && $0["mode"] as? String == "0644" })

        let closed = try EndToEnd.object(images.sandbox.done("inspect", "--json", images.disk))
        #expect(closed["kind"] as? String == "emwp" && closed["files"] == nil && closed["disk"] != nil)
        let open = try EndToEnd.object(images.sandbox.done("inspect", "--json", images.disk, "--key-file", "key"))
        #expect((open["files"] as? [[String: Any]])?.count == files.count && open["topAgrees"] as? Bool == true)
        #expect(try images.sandbox.done("inspect", images.image).contains("the top of the hash tree agrees"))
    }

    @Test func exportGivesTheModelBack() throws {
        let images = try Images()
        let sandbox = images.sandbox
        let root = images.reference.split(separator: "_")[0]
        #expect(
            try sandbox.done("export", "-q", images.image, "--format", "hf", "-o", "a", "--root-hash", images.reference)
                == "a@\(root)")
        try sandbox.done("export", "-q", images.disk, "--format", "hf", "-o", "b", "--key-file", "key")
        try sandbox.tool("diff", ["-r", "--exclude=Modelfile", images.model, "a"])
        try sandbox.tool("diff", ["-r", "a", "b"])
        #expect(try sandbox.kapsule("export", images.image, "-o", "c").status == 2)
        try sandbox.directory.write("desk/a/config.json", "other")
        #expect(try sandbox.kapsule("export", "-q", images.image, "--format", "hf", "-o", "a").status == 6)
        try images.flip(images.image, 5000)
        #expect(try sandbox.kapsule("export", "-q", images.image, "--format", "hf", "-o", "d").status == 8)
        #expect(sandbox.debris.isEmpty)
    }

    @Test func mountPrintsWhatItWouldRun() throws {
        let images = try Images()
        let sandbox = images.sandbox
        let plain = try sandbox.done("mount", "-q", "--print", images.image, "/srv/model")
        #expect(plain.hasPrefix("veritysetup open --no-superblock ") && plain.contains("/desk/\(images.image) "))
        for recipe in ["commands", "systemd", "kata", "fstab"] {
            let text = try sandbox.done("mount", "-q", "--print=\(recipe)", images.disk, "/srv/m", "--key-file", "key")
            #expect(text.contains(images.diskReference.prefix(64)) && !text.contains(Self.masterKey), "\(recipe)")
        }
        #expect(try sandbox.done("umount", "--print", "/srv/model").hasPrefix("umount /srv/model\nveritysetup close "))
        #expect(try sandbox.kapsule("umount", "/srv/model").status == 2)
        #expect(try sandbox.kapsule("mount", images.image, "/srv/no/such/place").status == 2)
    }
}
