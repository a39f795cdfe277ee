internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// Runs the commands of a plan, and takes back what was done when one fails.
public struct Mounter: Sendable {
    private let environment: [String: String]
    private let searchPath: String

    public init(environment: [String: String]) {
        searchPath = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
        self.environment = ["PATH": searchPath, "LC_ALL": "C"]
    }

    /// - Parameter volumeKey: of an encrypted disk; goes to the tool's standard input.
    /// - Throws: `.usage` without the rights or the kernel's help, `.unverified` when the kernel refuses the image.
    public func mount(_ plan: MountPlan, volumeKey: [UInt8]?) throws {
        try checkMachine(plan.steps.map { $0.command[0] })
        var undo: [[String]] = []
        var loop = ""
        func filled(_ command: [String]) -> [String] { command.map { $0 == MountPlan.loopWord ? loop : $0 } }
        do {
            for step in plan.steps {
                let output = try run(filled(step.command), input: step.takesKey ? volumeKey ?? [] : [])
                if step.namesLoop { loop = String(output.prefix { !$0.isNewline }) }
                if let back = step.undo { undo.insert(filled(back), at: 0) }
            }
        } catch {
            takeBack(undo)
            throw error
        }
    }

    /// Takes down what `mount` set up at `directory`, which is absolute.
    ///
    /// - Throws: `.usage` when nothing was.
    public func unmount(_ directory: String) throws {
        let name = MountPlan.name(forMountAt: directory)
        let isOpen = try Self.isThere("/dev/mapper/\(name)")
        let isCryptOpen = try Self.isThere("/dev/mapper/\(MountPlan.cryptName(name))")
        guard isOpen || isCryptOpen else {
            throw KapsuleError(
                .usage, id: "mount.not-ours", "\(directory) is not a mount of kapsule: there is no device \(name)",
                remedy: "name the directory that 'kapsule mount' was given; others are taken down with umount")
        }
        try checkMachine(["umount", "veritysetup"])
        for command in MountPlan.takeDown(directory, hasCrypt: isCryptOpen) {
            if command[0] == "umount", try !isMounted(name) { continue }
            if command[0] == "veritysetup", !isOpen { continue }
            try run(command, input: [])
        }
    }

    // MARK: The machine

    private static func isThere(_ path: String) throws -> Bool { try FileStatus.of(path, followsLinks: false) != nil }

    /// Whether the device named so is mounted somewhere. Source: proc_pid_mounts(5).
    private func isMounted(_ name: String) throws -> Bool {
        let mounts = try run(["cat", "/proc/self/mounts"], input: [])
        return mounts.split(separator: "\n").contains { $0.hasPrefix("/dev/mapper/\(name) ") }
    }

    private func checkMachine(_ programs: [String]) throws {
        guard Ownership.effectiveUser == 0 else {
            throw KapsuleError(
                .usage, id: "mount.not-root", "only root can mount an image",
                remedy: "run the command with sudo, or use 'kapsule export IMAGE --format hf', which needs no rights")
        }
        let devices = (try? run(["cat", "/proc/misc"], input: [])) ?? ""
        guard devices.contains("device-mapper") else {
            throw KapsuleError(
                .usage, id: "mount.no-device-mapper",
                "this machine's kernel has no device-mapper, which does the checking",
                remedy: "load it with 'modprobe -a dm_mod dm_verity dm_crypt erofs', or use 'kapsule export IMAGE "
                    + "--format hf', which checks every block itself")
        }
        for program in programs { _ = try path(of: program) }
    }

    private func path(of program: String) throws -> String {
        if let path = ChildProcess.find(program, searchPath: searchPath) { return path }
        throw KapsuleError(
            .usage, id: "mount.no-program", "there is no program '\(program)' on this machine",
            remedy: "install Debian's packages cryptsetup-bin and mount, or what has it elsewhere")
    }

    // MARK: Running

    /// - Returns: what it prints, on both streams.
    @discardableResult
    private func run(_ command: [String], input: [UInt8]) throws -> String {
        // The shell only joins the streams: what is wrong is said on standard error.
        let result = try ChildProcess.run(
            "/bin/sh", ["-c", "exec \"$@\" 2>&1", "sh", path(of: command[0])] + command.dropFirst(),
            environment: environment, input: input)
        let said = String(decoding: result.output, as: UTF8.self)
        guard result.isSuccess else {
            let line = said.split(separator: "\n").prefix(3).joined(separator: "; ")
            throw KapsuleError(
                .unverified, id: "mount.refused", "\(command[0]) failed: \(line.isEmpty ? "it says nothing" : line)",
                remedy:
                    "check root hash, --model-id and key, and the image with 'kapsule verify'; the kernel's own words "
                    + "are in dmesg")
        }
        return said
    }

    /// On a thread without a task: what was begun is taken back after Ctrl-C too.
    private func takeBack(_ commands: [[String]]) {
        _ = try? concurrently({ for command in commands { _ = try? run(command, input: []) } }, {})
    }
}

extension SealedImage {
    /// The key that dm-crypt takes: 64 bytes. Nil where nothing is encrypted.
    public func volumeKey(masterKey: [UInt8]?) throws -> [UInt8]? {
        guard case .encryptedDisk(let table) = file.container, let masterKey else { return nil }
        return try EMWPDisk.volumeKey(
            masterKey: masterKey, root: root, partitionUUID: table.partitions[0].uuid)
    }
}
