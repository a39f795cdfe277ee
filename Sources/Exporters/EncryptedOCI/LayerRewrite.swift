internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// What becomes of one layer on the way from one place to another.
struct LayerChange: Sendable {
    /// It is decrypted with this.
    var unlocked: UnlockedLayer?
    var unzips = false
    /// It is encrypted for these.
    var recipients: RecipientSet?
    /// Digest of the uncompressed plaintext, where the config has it.
    var diffID: Digest?

    var changesNothing: Bool { unlocked == nil && !unzips && recipients == nil }
}

/// Moves one layer and changes it on the way, in one pass over two threads: one reads, checks and decrypts, the other
/// unpacks, encrypts, hashes and writes.
struct LayerRewrite {
    let layer: Descriptor
    let change: LayerChange
    /// Names the layer in errors.
    let what: String

    private struct Stored: Sendable {
        /// Of what went into the blob.
        let artifact: Artifact
        let sealed: SealedLayer?
    }

    /// - Returns: the layer's new descriptor.
    func run(from source: any ByteSource, into blob: any BlobSink, _ activity: Activity) throws -> Descriptor {
        let pipe = Self.pipe(into: BlobHandle(blob), change, what)
        do {
            try read(source, into: pipe, activity)
            let stored = try pipe.finish()
            try check(stored)
            let descriptor = try described(stored)
            try blob.finish(stored.artifact.digest)
            return descriptor
        } catch {
            pipe.abandon()
            blob.abandon()
            throw error
        }
    }

    /// Every byte is what was promised when this returns.
    private func read(_ source: any ByteSource, into pipe: PipedSink<Stored>, _ activity: Activity) throws {
        let end = PipeHandle(pipe, activity)
        if let unlocked = change.unlocked {
            var sink = LayerDecryptor(end, unlocked, expecting: layer.artifact, what: what)
            try source.read(0..<source.size, into: &sink)
            try sink.finish()
        } else {
            var sink = VerifyingSink(end, expecting: layer.artifact, what: what)
            try source.read(0..<source.size, into: &sink)
            try sink.finish()
        }
    }

    private static func pipe(into blob: BlobHandle, _ change: LayerChange, _ what: String) -> PipedSink<Stored> {
        let (unzips, encrypts) = (change.unzips, change.recipients != nil)
        return PipedSink { reader in
            guard unzips else {
                var sink = BlobStage(blob, encrypts: encrypts)
                try reader.forEachBlock { try sink.write($0) }
                return sink.finish()
            }
            var sink = GunzipSink(BlobStage(blob, encrypts: encrypts), what: what)
            try reader.forEachBlock { try sink.write($0) }
            try sink.finish()
            return sink.next.finish()
        }
    }

    /// The only check of the plaintext there is from end to end.
    private func check(_ stored: Stored) throws {
        guard change.unlocked != nil, stored.sealed == nil, let diffID = change.diffID,
            LayerType.isPlainTar(plainType)
        else { return }
        guard stored.artifact.digest == diffID else {
            throw KapsuleError(
                .unverified, id: "encryption.diff-id",
                "\(what) decrypts to \(stored.artifact.digest), and the image's config promises \(diffID)",
                remedy: "do not use this image: its layers are not those that it was made of")
        }
    }

    private var plainType: String {
        let type = EncryptedType.plain(layer.mediaType) ?? layer.mediaType
        return change.unzips ? MediaType.tar : type
    }

    private func described(_ stored: Stored) throws -> Descriptor {
        var annotations = layer.annotations
        if change.unlocked != nil { annotations = LayerAnnotations.removed(from: annotations) }
        guard let recipients = change.recipients, let sealed = stored.sealed else {
            return Descriptor(
                mediaType: plainType, digest: stored.artifact.digest, size: stored.artifact.size,
                annotations: annotations)
        }
        let isWhole = change.unlocked == nil && !change.unzips
        annotations.merge(try sealed.annotations(for: recipients, plain: isWhole ? layer.digest : nil)) { $1 }
        return Descriptor(
            mediaType: EncryptedType.of(LayerType.oci(plainType)), digest: stored.artifact.digest,
            size: stored.artifact.size, annotations: annotations)
    }

    /// The last stage: what is stored, encrypted or as it is, and its digest.
    private struct BlobStage: ByteSink, ~Copyable {
        private var encryptor: LayerEncryptor<BlobHandle>?
        private var blob: BlobHandle
        private var hasher = SHA256Hasher()
        private var count: Int64 = 0

        init(_ blob: BlobHandle, encrypts: Bool) {
            self.blob = blob
            encryptor = encrypts ? LayerEncryptor(blob) : nil
        }

        mutating func write(_ bytes: Span<UInt8>) throws {
            guard encryptor == nil else { return try encryptor!.write(bytes) }
            hasher.update(bytes)
            count += Int64(bytes.count)
            try blob.write(bytes)
        }

        mutating func finish() -> Stored {
            if let sealed = encryptor?.finish() { return Stored(artifact: sealed.artifact, sealed: sealed) }
            return Stored(artifact: Artifact(digest: hasher.finalize(), size: count), sealed: nil)
        }
    }
}

/// What kinds of layers there are.
enum LayerType {
    /// Whether what is stored is what its diff ID is of.
    static func isPlainTar(_ type: String) -> Bool {
        [MediaType.tar, "application/vnd.docker.image.rootfs.diff.tar"].contains(type)
            || type.hasPrefix(ModelPackType.prefix) && [".raw", ".tar"].contains(where: type.hasSuffix)
    }

    static func isZipped(_ type: String) -> Bool {
        [MediaType.tarGzip, MediaType.dockerLayer].contains(type)
            || type.hasPrefix(ModelPackType.prefix) && type.hasSuffix(".tar+gzip")
    }

    static func unzipped(_ type: String) -> String {
        type.hasPrefix(ModelPackType.prefix) ? String(type.dropLast("+gzip".count)) : MediaType.tar
    }

    /// Encrypted layers are OCI's alone: Docker's types have no names for them.
    static func oci(_ type: String) -> String {
        switch type {
        case MediaType.dockerLayer: MediaType.tarGzip
        case "application/vnd.docker.image.rootfs.diff.tar": MediaType.tar
        default: type
        }
    }
}
