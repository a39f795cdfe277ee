internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import OCI

/// Reads every blob of an image, wherever it is, and checks that it is what its name says.
struct BlobCheck {
    let concurrency: Int
    let progress: any ProgressReporter

    /// - Parameter checked: blobs that need no other look.
    /// - Throws: `.unverified` for the first blob that is not.
    func check(_ image: Image, except checked: Set<Digest> = []) async throws {
        let progress = progress
        try await forEach(image.blobs.filter { !checked.contains($0.digest) }, limit: concurrency) { blob in
            let what = "blob \(blob.digest) of \(image.origin.name)"
            try progress.during("verify \(blob.digest.short)", total: blob.size) { activity in
                let source = try image.origin.blob(blob)
                guard source.size == blob.size else {
                    throw KapsuleError(
                        .unverified, id: "content.mismatch",
                        "\(what) has \(source.size) bytes, and its manifest promises \(blob.size)",
                        remedy: "make or copy the image again")
                }
                var sink = VerifyingSink(ProgressSink(activity: activity), expecting: blob.artifact, what: what)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
            }
        }
    }
}

/// Counts for an activity and keeps nothing.
struct ProgressSink: ByteSink {
    let activity: Activity

    mutating func write(_ bytes: Span<UInt8>) { activity.advance(by: bytes.count) }
}
