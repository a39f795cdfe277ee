internal import ArgumentParser
internal import Exporters
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// What somebody says of an image file, for it to be checked against.
struct ProofFlags: ParsableArguments {
    @Option(
        name: .customLong("root-hash"),
        help: ArgumentHelp(
            "The root hash, or the reference ROOTHASH_OFFSET_UUID. Default: what lies beside the image.",
            valueName: "hash"))
    var rootHash: String?

    @Option(
        name: .customLong("hash-offset"),
        help: ArgumentHelp("Where the hash area begins, where no reference says it.", valueName: "bytes"))
    var hashOffset: String?

    @Option(
        name: .customLong("model-id"),
        help: ArgumentHelp("Identity of the model: salt and UUIDs follow from it.", valueName: "name@revision"))
    var modelID: String?

    @Option(help: ArgumentHelp("The salt, where no model gives it; - is none.", valueName: "hex"))
    var salt: String?

    @Option(
        name: .customLong("key-file"),
        help: ArgumentHelp(
            "Master key of an encrypted disk: 64 bytes in base64. Also PRIVATE_MODEL_KEY_FILE, PRIVATE_MODEL_KEY_B64.",
            valueName: "path"))
    var keyFile: String?

    func validate() throws {
        if modelID != nil, salt != nil { throw ValidationError("The salt follows from --model-id: leave out --salt.") }
        if let modelID, !modelID.contains("@") {
            throw ValidationError("'\(modelID)' is no identity: write NAME@REVISION.")
        }
        _ = try modelID.map(GivenIdentity.init(parsing:))
        if let salt, Self.bytes(salt) == nil {
            throw ValidationError("'\(salt)' is no salt: write at most 256 bytes in hex, or - for none.")
        }
        if let hashOffset, RootReference.offset(hashOffset) == nil {
            throw ValidationError("'\(hashOffset)' is no hash offset: it is a multiple of 4096.")
        }
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        if text == "-" { return [] }
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count % 2 == 0, 1...256 ~= digits.count / 2 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// The path of the master key; nil without one in a file.
    func keyPath(_ environment: [String: String]) -> String? {
        keyFile ?? environment["PRIVATE_MODEL_KEY_FILE"].flatMap { $0.isEmpty ? nil : $0 }
    }

    func claim(for file: SealedFile, _ environment: [String: String]) throws -> ImageClaim {
        ImageClaim(
            reference: try rootHash.map(RootReference.init(parsing:)),
            hashOffset: hashOffset.flatMap(RootReference.offset),
            salt: salt.flatMap(Self.bytes), modelID: try modelID.map(GivenIdentity.init(parsing:))?.text,
            masterKey: try masterKey(for: file, environment))
    }

    /// Of an encrypted disk; nil where none is given.
    private func masterKey(for file: SealedFile, _ environment: [String: String]) throws -> [UInt8]? {
        guard case .encryptedDisk = file.container else { return nil }
        let isInEnvironment = environment["PRIVATE_MODEL_KEY_B64"].map { !$0.isEmpty } ?? false
        guard keyPath(environment) != nil || isInEnvironment else { return nil }
        return try MasterKey.load(file: keyFile, environment)
    }

    /// Whether anything was said.
    var isEmpty: Bool { [rootHash, hashOffset, modelID, salt, keyFile].allSatisfy { $0 == nil } }
}

/// Image files on the command line.
struct ImageFile {
    let file: SealedFile
    let flags: ProofFlags
    let toolbox: Toolbox
    /// Of an encrypted disk, where the flags do not say.
    var masterKey: [UInt8]?

    /// Nil for what is no regular file, and so the name of an image elsewhere.
    init?(_ text: String, _ flags: ProofFlags, _ toolbox: Toolbox) throws {
        guard try FileStatus.of(text, followsLinks: true)?.kind == .regular else {
            guard flags.isEmpty else {
                throw KapsuleError(
                    .usage, id: "verity.not-a-file", "there is no image file '\(text)'",
                    remedy:
                        "check the path; --root-hash, --hash-offset, --model-id, --salt and --key-file are for files")
            }
            return nil
        }
        file = try SealedFile(opening: text)
        self.flags = flags
        self.toolbox = toolbox
    }

    /// The image with what is said of it; what had to be believed is told.
    func sealed() throws -> SealedImage {
        var claim = try flags.claim(for: file, toolbox.environment)
        claim.masterKey = masterKey ?? claim.masterKey
        let image = try SealedImage(file, claim)
        for note in image.notes { toolbox.note("note: \(note)") }
        return image
    }
}
