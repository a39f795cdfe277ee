internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// The keys of the encrypted layers that are wanted, found before the first byte is fetched.
struct EncryptedLayers: Sendable {
    struct Key: Sendable {
        let unlocked: UnlockedLayer
        /// Digest of the tar inside, where the config has it.
        let diffID: Digest?
    }

    private var keys: [Digest: Key] = [:]

    /// - Throws: `.undecryptable` when a layer is encrypted and no key opens it, saying who could.
    init(_ layers: [Descriptor], of image: Image, _ keyring: Keyring) throws {
        let diffIDs = try image.diffIDs()
        for layer in layers where EncryptedType.plain(layer.mediaType) != nil {
            let unlocked = try keyring.unlock(layer.annotations, what: image.naming(layer))
            keys[layer.digest] = Key(unlocked: unlocked, diffID: diffIDs[layer.digest])
        }
    }

    func key(of layer: Descriptor) -> Key? { keys[layer.digest] }
}

extension DirectoryUnpacker {
    /// The next layer, decrypted on the way to its files: no byte of it is kept twice, in plaintext or otherwise.
    ///
    /// Its files get their names when size, digest, HMAC and the config's digest of the plaintext were verified.
    func unpack(
        _ source: any ByteSource, _ blob: Artifact, _ key: EncryptedLayers.Key, compression: LayerCompression,
        what: String, _ activity: Activity
    ) throws {
        let stage = StageHandle(stage: stage(what))
        let pipe = PipedSink { reader in
            var sink = DecryptedTar(stage.stage, compression)
            try reader.forEachBlock { try sink.write($0) }
            return try sink.finish()
        }
        // Nobody else writes to the files of the stage when it is let go.
        defer { pipe.abandon() }
        let end = PipeHandle(pipe, activity)
        var sink = LayerDecryptor(end, key.unlocked, expecting: blob, what: what)
        try source.read(0..<source.size, into: &sink)
        try sink.finish()
        let tar = try end.finish()
        if let diffID = key.diffID, tar != diffID {
            throw KapsuleError(
                .unverified, id: "encryption.diff-id",
                "\(what) decrypts to \(tar), and the image's config promises \(diffID)",
                remedy: "do not use this image: its layers are not those that it was made of")
        }
        try commit(stage.stage)
    }
}

/// The pipe's thread fills a stage, and its owner commits it.
// One after the other: the owner waits until that thread has ended.
private struct StageHandle: @unchecked Sendable {
    let stage: LayerStage
}

/// From decrypted bytes to entries, and the digest of the tar.
private struct DecryptedTar: ByteSink, ~Copyable {
    private var plain: HashedTar?
    private var gzip: GunzipSink<HashedTar>?

    init(_ stage: LayerStage, _ compression: LayerCompression) {
        switch compression {
        case .none: plain = HashedTar(stage)
        case .gzip: gzip = GunzipSink(HashedTar(stage), what: stage.what)
        }
    }

    mutating func write(_ bytes: Span<UInt8>) throws {
        try plain?.write(bytes)
        try gzip?.write(bytes)
    }

    mutating func finish() throws -> Digest {
        if let digest = try plain?.finish() { return digest }
        try gzip?.finish()
        return try gzip!.next.finish()
    }
}

private struct HashedTar: ByteSink, ~Copyable {
    private var hasher = SHA256Hasher()
    private var reader: TarReader<LayerStage>

    init(_ stage: LayerStage) { reader = TarReader(stage, what: stage.what) }

    mutating func write(_ bytes: Span<UInt8>) throws {
        hasher.update(bytes)
        try reader.write(bytes)
    }

    mutating func finish() throws -> Digest {
        try reader.finish()
        return hasher.finalize()
    }
}
