internal import Encryption
internal import Formats
internal import KapsuleCore
internal import KapsuleIO
internal import OCI

/// A tar on its way into an encrypted blob. Cipher, HMAC and digest run on a thread of their own, beside the one that
/// reads the files and hashes them.
final class EncryptedLayer: LayerOutput {
    private let blob: any BlobSink
    private let pipe: PipedSink<SealedLayer>

    init(_ blob: any BlobSink, gzips: Bool) {
        self.blob = blob
        let handle = BlobHandle(blob)
        pipe = PipedSink { reader in
            guard gzips else {
                var sink = LayerEncryptor(handle)
                try reader.forEachBlock { try sink.write($0) }
                return sink.finish()
            }
            var sink = GzipSink(LayerEncryptor(handle))
            try reader.forEachBlock { try sink.write($0) }
            try sink.finish()
            return sink.next.finish()
        }
    }

    func write(_ bytes: Span<UInt8>) throws { try pipe.write(bytes) }

    func finish(_ tar: Artifact) throws -> StoredLayer {
        let sealed = try pipe.finish()
        try blob.finish(sealed.artifact.digest)
        return StoredLayer(blob: sealed.artifact, sealed: sealed)
    }

    func abandon() {
        pipe.abandon()
        blob.abandon()
    }
}

/// Hands what comes to a blob.
// The thread of a pipe writes; its owner touches the blob only when that thread has ended.
struct BlobHandle: ByteSink, @unchecked Sendable {
    private var blob: any BlobSink

    init(_ blob: any BlobSink) { self.blob = blob }

    mutating func write(_ bytes: Span<UInt8>) throws { try blob.write(bytes) }
}
