internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A plan as text to paste somewhere. Holds no key.
public enum MountRecipe: String, Sendable, CaseIterable {
    /// What `kapsule mount` runs, for a shell.
    case commands
    /// Units that set it up at boot.
    case systemd
    /// What a guest of Kata Containers is told.
    case kata
    /// Lines of `veritytab`, `crypttab` and `fstab`.
    case fstab

    /// - Parameter keyFile: of the master key, where that is known.
    public func text(_ plan: MountPlan, keyFile: String?) -> String {
        switch self {
        case .commands: CommandRecipe(plan: plan, keyFile: keyFile).text
        case .systemd: SystemdRecipe(plan: plan, keyFile: keyFile).text
        case .kata: KataRecipe(plan: plan).text
        case .fstab: TabRecipe(plan: plan).text
        }
    }
}

/// Text as programs take it that are not ours.
enum Quoted {
    /// A word of a POSIX shell.
    static func shell(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_=./:,@+".utf8.contains(byte)
            }
        }
        if plain && !word.isEmpty { return word }
        if word == MountPlan.loopWord { return "\"\(word)\"" }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    static func shell(_ command: [String]) -> String { command.map(shell).joined(separator: " ") }

    /// A word of a unit's `Exec` line. Source: systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers".
    static func unit(_ word: String) -> String {
        var text = ""
        for character in word {
            switch character {
            case "%": text += "%%"
            case "$": text += "$$"
            case "\"", "\\": text += "\\\(character)"
            default: text.append(character)
            }
        }
        return text.contains(" ") || text.contains("'") || text.contains(";") ? "\"\(text)\"" : text
    }

    /// A setting that is one value, which is not unquoted.
    static func unitValue(_ text: String) -> String {
        text.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%")
    }

    /// A field of `fstab`. Source: fstab(5).
    static func tab(_ word: String) -> String {
        var text = ""
        for character in word {
            switch character {
            case " ": text += "\\040"
            case "\t": text += "\\011"
            case "\\": text += "\\134"
            default: text.append(character)
            }
        }
        return text
    }

    /// A path as the name of a unit. Source: systemd.unit(5), "String Escaping for Inclusion in Unit Names".
    static func unitName(ofPath path: String) -> String {
        let parts = path.split(separator: "/").joined(separator: "/")
        if parts.isEmpty { return "-" }
        var text = ""
        for (index, byte) in parts.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "/"): text += "-"
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ".") where index > 0: text += "."
            default: text += "\\x" + Hex.encode([byte])
            }
        }
        return text
    }
}

/// `kapsule mount` by hand.
struct CommandRecipe {
    let plan: MountPlan
    let keyFile: String?

    var text: String {
        let lines = plan.steps.map { step in
            let command = Quoted.shell(step.command)
            if step.namesLoop { return "\(MountPlan.loopWord.dropFirst())=$(\(command))" }
            return step.takesKey ? "volume_key | \(command)" : command
        }
        return (keyFunction + lines).joined(separator: "\n")
    }

    /// Source: RFC 5869 with SHA-256, two blocks; salt and info as `EMWPDisk` has them.
    private var keyFunction: [String] {
        guard case .encryptedDisk(let table) = plan.image.file.container else { return [] }
        let file = keyFile.map(Quoted.shell) ?? "\"$PRIVATE_MODEL_KEY_FILE\""
        let salt = "\(plan.image.root.hex)_\(table.partitions[0].uuid)"
        return [
            "# 64 bytes that follow from the master key; they are in no argument and in no file.",
            "volume_key() {",
            "python3 -c 'import base64, hmac, sys",
            "master, salt = base64.b64decode(sys.stdin.read()), sys.argv[1].encode()",
            "info, key = b\"tinfoil/emwp/dm-crypt-key/v1\", hmac.digest(salt, master, \"sha256\")",
            "first = hmac.digest(key, info + b\"\\1\", \"sha256\")",
            "sys.stdout.buffer.write(first + hmac.digest(key, first + info + b\"\\2\", \"sha256\"))' \(salt) < \(file)",
            "}",
        ]
    }
}

/// Units: one that opens the devices, one that mounts.
struct SystemdRecipe {
    let plan: MountPlan
    let keyFile: String?

    var text: String {
        if case .image = plan.image.file.container { return plainUnits }
        return ownUnit
    }

    private var service: String { "\(plan.name).service" }

    private var plainUnits: String {
        let verity = VerityTarget(plan.image, device: plan.device, name: plan.name)
        return """
            # /etc/systemd/system/\(service)
            [Unit]
            Description=dm-verity device of \(Quoted.unitValue(plan.device))
            RequiresMountsFor=\(Quoted.unit(plan.device))

            [Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStart=\(verity.openCommand.map(Quoted.unit).joined(separator: " "))
            ExecStop=veritysetup close \(plan.name)

            # /etc/systemd/system/\(Quoted.unitName(ofPath: plan.directory)).mount
            [Unit]
            Requires=\(service)
            After=\(service)

            [Mount]
            What=/dev/mapper/\(plan.name)
            Where=\(Quoted.unitValue(plan.directory))
            Type=erofs
            Options=\(MountPlan.options)

            [Install]
            WantedBy=multi-user.target
            """
    }

    /// Where a key or a loop device is needed, kapsule does it.
    private var ownUnit: String {
        let salt = plan.image.salt.isEmpty ? "-" : Hex.encode(plan.image.salt)
        var command = ["kapsule", "mount", "--root-hash", plan.image.reference, "--salt", salt]
        var credential = ""
        if case .encryptedDisk = plan.image.file.container {
            command += ["--key-file", "@KEY@"]
            credential = "LoadCredential=master-key:\(keyFile ?? "/etc/kapsule/master-key")\n"
        }
        command += [plan.device, plan.directory]
        let line = command.map(Quoted.unit).joined(separator: " ")
        let start = line.split(separator: "@KEY@", omittingEmptySubsequences: false).joined(separator: "%d/master-key")
        return """
            # /etc/systemd/system/\(service)
            [Unit]
            Description=model at \(Quoted.unitValue(plan.directory))
            RequiresMountsFor=\(Quoted.unit(plan.device)) \(Quoted.unit(plan.directory))

            [Service]
            Type=oneshot
            RemainAfterExit=yes
            \(credential)ExecStart=\(start)
            ExecStop=kapsule umount \(Quoted.unit(plan.directory))

            [Install]
            WantedBy=multi-user.target
            """
    }
}

/// The tables that systemd's generators read. `veritytab` knows these options from systemd 254 on.
struct TabRecipe {
    let plan: MountPlan

    var text: String {
        let name = plan.name
        var lines: [String] = []
        var target = VerityTarget(plan.image, device: plan.device, name: name)
        switch plan.image.file.container {
        case .image: break
        case .encryptedDisk(let table):
            // By the partition: these tables have no place for where one begins.
            lines += [
                "# /etc/crypttab; the key is the volume key, see --print=commands",
                "\(MountPlan.cryptName(name)) /dev/disk/by-partuuid/\(table.partitions[0].uuid) "
                    + "/etc/kapsule/\(name).key plain,cipher=aes-xts-plain64,size=512,hash=plain,sector-size=4096,"
                    + "offset=0,skip=0,keyfile-size=64,read-only",
            ]
        case .repartDisk:
            let disk = plan.device.hasPrefix("/dev/") ? plan.device : "/dev/DISK"
            lines.append("# the disk is attached as \(disk)")
            target = VerityTarget(plan.image, partitionsOf: disk, name: name)
        }
        lines += [
            "# /etc/veritytab",
            "\(name) \(Quoted.tab(target.dataDevice)) \(Quoted.tab(target.hashDevice)) \(plan.image.root.hex) "
                + target.tabOptions,
            "# /etc/fstab",
            "/dev/mapper/\(name) \(Quoted.tab(plan.directory)) erofs \(MountPlan.options),"
                + "x-systemd.requires=systemd-veritysetup@\(Quoted.unitName(ofPath: name)).service 0 0",
        ]
        return lines.joined(separator: "\n")
    }
}

/// A guest that gets the image as a disk. Its kernel's parameters are measured, and so the root hash is.
///
/// Kata's own verity volumes (`dm_verity` of a KataVirtualVolume) have no place for a salt, so the device is made by the
/// kernel. Source: Linux `Documentation/admin-guide/device-mapper/dm-init.rst`; Kata Containers, `kernel_params`.
struct KataRecipe {
    let plan: MountPlan
    private static let disk = "/dev/vdb"

    var text: String {
        switch plan.image.file.container {
        case .image: return table(VerityTarget(plan.image, device: Self.disk, name: plan.name), Self.disk)
        case .repartDisk:
            return table(
                VerityTarget(plan.image, partitionsOf: Self.disk, name: plan.name), "\(Self.disk)1,\(Self.disk)2")
        case .encryptedDisk:
            let inGuest = MountPlan(plan.image, device: Self.disk, directory: plan.directory)
            return """
                # The key comes to the guest after attestation, so nothing of this is a kernel parameter. In the guest, with the
                # disk as \(Self.disk) and the master key, as the key broker released it, in a file in memory:
                \(CommandRecipe(plan: inGuest, keyFile: "/run/kapsule/master-key").text)
                """
        }
    }

    private func table(_ target: VerityTarget, _ disks: String) -> String {
        """
        # configuration.toml of Kata Containers; the image is the guest's disk \(Self.disk). The guest's kernel needs
        # CONFIG_DM_INIT, CONFIG_DM_VERITY and CONFIG_EROFS_FS. What stands here is measured with the kernel's parameters.
        [hypervisor.qemu]
        kernel_params = "dm-mod.create=\\"\(plan.name),,,ro,\(target.table)\\" dm-mod.waitfor=\(disks)"

        # In the guest:
        mount -t erofs -o \(MountPlan.options) /dev/mapper/\(plan.name) \(Quoted.shell(plan.directory))
        """
    }
}

extension VerityTarget {
    /// Of a disk whose partitions the kernel has made devices of.
    init(_ image: SealedImage, partitionsOf disk: String, name: String) {
        let separator = disk.last?.isNumber == true ? "p" : ""
        self.init(
            image: image, dataDevice: "\(disk)\(separator)1", hashDevice: "\(disk)\(separator)2",
            treeOffset: image.geometry.treeOffset, name: name)
    }

    private init(image: SealedImage, dataDevice: String, hashDevice: String, treeOffset: Int64, name: String) {
        self.image = image
        self.dataDevice = dataDevice
        self.hashDevice = hashDevice
        self.treeOffset = treeOffset
        self.name = name
    }
}

extension SealedImage {
    /// As consumers take it: `ROOTHASH_OFFSET_UUID` where all is known, else as much as is.
    public var reference: String {
        var parts = [root.hex]
        switch file.container {
        case .image:
            parts.append("\(hashOffset)")
            if let expectedUUID { parts.append("\(expectedUUID)") }
        case .encryptedDisk(let table): parts += ["\(hashOffset)", "\(table.partitions[0].uuid)"]
        case .repartDisk: break
        }
        return parts.joined(separator: "_")
    }
}
