public import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

extension ImageLayout {
    /// Brings a blob from far away, and goes on where an interrupted run has stopped.
    ///
    /// The bytes land in order in a hidden file, are hashed on the way, and get the blob's name when they are what was
    /// promised. Bytes that are not are fetched once more, all of them.
    ///
    /// - Parameters:
    ///   - what: names the blob in errors: `blob sha256:9f86… of ghcr.io/acme/m`.
    ///   - activity: hears of every byte, those that were here included.
    /// - Throws: `.unverified` when they are wrong twice; nothing of them is kept. `.unavailable` when they stop coming;
    ///   what has come is kept.
    public func fetch(_ blob: Artifact, from source: any ByteSource, what: String, _ activity: Activity?) throws {
        guard try !contains(blob) else { return }
        try Directories.make(blobDirectory)
        try BlobFetch(layout: self, blob: blob, source: source, what: what, activity: activity).run()
    }
}

/// One blob on its way from far away into a layout.
private struct BlobFetch {
    let layout: ImageLayout
    let blob: Artifact
    let source: any ByteSource
    let what: String
    let activity: Activity?

    func run() throws {
        guard blob.size >= ImageLayout.smallestPartial,
            let partial = try PartialFile.open(blob.digest.hex, in: layout.path)
        else {
            return try withSecondChance { _ in
                let atomic = try AtomicFile(in: layout.blobDirectory, mode: ImageLayout.blobMode)
                try fill(atomic.file, from: 0)
                try atomic.file.synchronize()
                try atomic.commit(as: layout.path(of: blob.digest), existing: .replace)
            }
        }
        do {
            try withSecondChance { isSecond in
                let there = try partial.count()
                let start = isSecond || there > blob.size ? 0 : there
                if start < there { try partial.file.truncate(to: start) }
                try fill(partial.file, from: start)
                try partial.file.synchronize()
                try partial.publish(as: layout.path(of: blob.digest), mode: ImageLayout.blobMode)
            }
        } catch let error as KapsuleError where error.code == .unverified || error.code == .noSpace {
            // Wrong bytes are of no use, and a full disk wants them back.
            partial.remove()
            throw error
        }
    }

    /// Bytes may have been spoilt on the way, or lie here since a power failure: once more, from the first on.
    private func withSecondChance(_ attempt: (_ isSecond: Bool) throws -> Void) throws {
        do {
            try attempt(false)
        } catch let error as KapsuleError where error.id == "content.mismatch" {
            activity?.restart(at: 0)
            try attempt(true)
        }
    }

    private func fill(_ file: OpenFile, from start: Int64) throws {
        try file.reserve(blob.size)
        let landed = DirectFileSink(file, at: start, size: blob.size)
        var sink = VerifyingSink(
            LandingSink(landed: start, file: landed, activity: activity), expecting: blob, what: what)
        if start > 0 { try FileSource(file, keepsItsName: false).read(0..<start, into: &sink) }
        do {
            if start < blob.size { try source.read(start..<blob.size, into: &sink) }
        } catch {
            // What has come is kept.
            try landed.finish()
            throw error
        }
        try landed.finish()
        try sink.finish()
    }
}

/// Writes what is not there yet.
private struct LandingSink: ByteSink {
    /// Bytes at the file's front that are there already.
    let landed: Int64
    let file: DirectFileSink
    let activity: Activity?
    private var offset: Int64 = 0

    init(landed: Int64, file: DirectFileSink, activity: Activity?) {
        self.landed = landed
        self.file = file
        self.activity = activity
    }

    mutating func write(_ bytes: Span<UInt8>) throws {
        if offset >= landed { try file.write(bytes) }
        offset += Int64(bytes.count)
        activity?.advance(by: bytes.count)
    }
}
