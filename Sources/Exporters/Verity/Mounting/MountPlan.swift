internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto

/// The commands that have the kernel check and show an image, each with all its parameters: nothing is left for a tool to
/// read from the image.
public struct MountPlan: Sendable {
    public struct Step: Sendable {
        /// The program, then its arguments.
        public var command: [String]
        /// Takes it back; nil where nothing is left behind.
        public var undo: [String]?
        /// Whether the volume key goes to standard input.
        public var takesKey = false
        /// Whether what it prints stands for `MountPlan.loopWord` in what follows.
        public var namesLoop = false
    }

    /// Stands for the loop device of a disk's data partition.
    public static let loopWord = "$data"
    public static let options = "ro,nodev,nosuid,noexec"

    public let image: SealedImage
    /// Of the image, as the commands have it: a file or a block device.
    public let device: String
    /// Absolute.
    public let directory: String
    /// Of the dm-verity device.
    public let name: String
    public let steps: [Step]

    public init(_ image: SealedImage, device: String, directory: String) {
        self.image = image
        self.device = device
        self.directory = directory
        let name = Self.name(forMountAt: directory)
        self.name = name
        let verity = VerityTarget(image, device: device, name: name)
        var steps: [Step] = []
        switch image.file.container {
        case .image: break
        case .encryptedDisk(let table):
            steps.append(
                Step(command: Self.cryptCommand(table, device, name), undo: Self.closeCrypt(name), takesKey: true))
        case .repartDisk(let table):
            steps.append(
                Step(
                    command: Self.loopCommand(table, device), undo: ["losetup", "--detach", Self.loopWord],
                    namesLoop: true))
        }
        steps.append(Step(command: verity.openCommand, undo: ["veritysetup", "close", name]))
        steps.append(
            Step(
                command: ["mount", "-t", "erofs", "-o", Self.options, "/dev/mapper/\(name)", directory],
                undo: ["umount", directory]))
        // In use by now, so it goes with the last who uses it.
        if case .repartDisk = image.file.container {
            steps.append(Step(command: ["losetup", "--detach", Self.loopWord]))
        }
        self.steps = steps
    }

    /// One mount, one name: whoever takes it down finds the devices by where it is.
    public static func name(forMountAt directory: String) -> String {
        "kapsule-\(Digest.of(directory).hex.prefix(16))"
    }

    /// Of the dm-crypt device below.
    public static func cryptName(_ name: String) -> String { "\(name)-crypt" }

    /// The commands that take a mount down, the last made first.
    public static func takeDown(_ directory: String, hasCrypt: Bool) -> [[String]] {
        let name = name(forMountAt: directory)
        return [["umount", directory], ["veritysetup", "close", name]] + (hasCrypt ? [closeCrypt(name)] : [])
    }

    private static func closeCrypt(_ name: String) -> [String] { ["cryptsetup", "close", cryptName(name)] }

    /// Sectors of 4096 bytes, their numbers counted in 512: as the disk was written.
    private static func cryptCommand(_ table: PartitionTable, _ device: String, _ name: String) -> [String] {
        let partition = table.partitions[0]
        return [
            "cryptsetup", "open", "--type", "plain", "--batch-mode", "--readonly", "--cipher", "aes-xts-plain64",
            "--key-size", "512", "--hash", "plain", "--sector-size", "4096",
            "--offset", "\(partition.firstSector)", "--skip", "0",
            "--size", "\(partition.lastSector - partition.firstSector + 1)",
            "--key-file", "-", "--keyfile-size", "64", device, cryptName(name),
        ]
    }

    private static func loopCommand(_ table: PartitionTable, _ device: String) -> [String] {
        let range = table.partitions[0].range
        return [
            "losetup", "--find", "--show", "--read-only", "--offset", "\(range.lowerBound)",
            "--sizelimit", "\(range.upperBound - range.lowerBound)", device,
        ]
    }
}

/// Where dm-verity finds data and tree, and what it is told of them.
struct VerityTarget {
    let image: SealedImage
    let dataDevice: String
    let hashDevice: String
    /// Of the tree's top level on the hash device, in bytes.
    let treeOffset: Int64
    let name: String

    init(_ image: SealedImage, device: String, name: String) {
        self.image = image
        self.name = name
        switch image.file.container {
        case .image: (dataDevice, hashDevice, treeOffset) = (device, device, image.geometry.treeOffset)
        case .encryptedDisk:
            let clear = "/dev/mapper/\(MountPlan.cryptName(name))"
            (dataDevice, hashDevice, treeOffset) = (clear, clear, image.geometry.treeOffset)
        case .repartDisk(let table):
            (dataDevice, hashDevice) = (MountPlan.loopWord, device)
            treeOffset = table.partitions[1].range.lowerBound + image.geometry.treeOffset
        }
    }

    var salt: String { image.salt.isEmpty ? "-" : Hex.encode(image.salt) }

    var openCommand: [String] {
        [
            "veritysetup", "open", "--no-superblock", "--format=1", "--hash=sha256", "--data-block-size=4096",
            "--hash-block-size=4096", "--data-blocks=\(image.geometry.dataBlocks)", "--hash-offset=\(treeOffset)",
            "--salt=\(salt)", dataDevice, name, hashDevice, image.root.hex,
        ]
    }

    /// As `veritytab(5)` takes them, from systemd 254 on.
    var tabOptions: String {
        "superblock=no,format=1,hash=sha256,data-block-size=4096,hash-block-size=4096,"
            + "data-blocks=\(image.geometry.dataBlocks),hash-offset=\(treeOffset),salt=\(salt)"
    }

    /// A line of `dmsetup create --readonly`. Source: Linux `Documentation/admin-guide/device-mapper/verity.rst`.
    var table: String {
        "0 \(image.hashOffset / 512) verity 1 \(dataDevice) \(hashDevice) 4096 4096 \(image.geometry.dataBlocks) "
            + "\(treeOffset / 4096) sha256 \(image.root.hex) \(salt)"
    }
}
