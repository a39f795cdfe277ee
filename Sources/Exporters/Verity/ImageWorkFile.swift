internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import Synchronization

/// The file that an image is made in. It has no name; but where files come from afar and are promised by digests, it is one
/// that a further run finds and goes on with.
///
/// Nobody waits for the device before it gets its name: what a power failure leaves of it is refused by whoever opens it
/// with the root hash.
///
/// The name says what the layout is, and nothing of what is there: whoever takes up such a file hashes it.
final class ImageWorkFile: Sendable {
    private static let prefix = "image-"
    /// Smaller files are fetched again, in bytes.
    private static let smallest: Int64 = 1 << 20

    let atomic: AtomicFile
    /// Writes to it past the page cache.
    let direct: DirectFile
    private let directory: String
    private let map: EROFS.ImageMap
    /// Where the image begins, in bytes from the start of the file.
    private let base: Int64
    /// Whether it has a name under which it is found again.
    private let isKept: Bool
    private let isWorthKeeping: Mutex<Bool>

    var file: OpenFile { atomic.file }

    /// - Parameters:
    ///   - directory: exists already.
    ///   - size: of the whole file.
    init(
        _ bundle: ModelBundle, _ map: EROFS.ImageMap, salt: [UInt8], in directory: String, at base: Int64 = 0,
        size: Int64
    ) throws {
        self.directory = directory
        self.map = map
        self.base = base
        let partial =
            bundle.files.contains(where: Self.isPromised)
            ? try PartialFile.open(Self.name(bundle, map, salt, base, size), in: directory) : nil
        isKept = partial != nil
        isWorthKeeping = Mutex(try partial.map { try $0.count() > 0 } ?? false)
        atomic = try AtomicFile(continuing: partial, in: directory)
        direct = DirectFile(atomic.file, size: size)
        try file.truncate(to: size)
    }

    /// What was only planned leaves nothing.
    deinit { if !isWorthKeeping.withLock(\.self) { atomic.discard() } }

    /// Whether what is left of a file is worth keeping, and can be proved.
    private static func isPromised(_ file: ModelBundle.File) -> Bool {
        file.source.digest != nil && !file.source.isWatched && file.source.size >= smallest
    }

    /// Bytes on the device that an earlier run has taken.
    var allocated: Int64 { isKept ? (try? file.status().allocated) ?? 0 : 0 }

    /// Files begin to come.
    func begin() { isWorthKeeping.withLock { $0 = true } }

    /// Of an image that has its name: what is left of others goes.
    func clear() { if isKept { PartialFile.clear(Self.prefix, in: directory) } }

    /// What an earlier run has written of file `index`, in one piece from its beginning.
    func salvaged(_ index: Int) -> (any ByteSource)? {
        guard isKept, let data = map.files[index]?.data else { return nil }
        let start = base + data.offset
        guard let end = try? file.endOfContent(in: start..<start + data.length), end > start else { return nil }
        return SliceSource(UnwatchedSource(file, size: end), start..<end)
    }

    /// Everything that decides what is written where: in a file of this name, what was never written reads as zeros.
    private static func name(
        _ bundle: ModelBundle, _ map: EROFS.ImageMap, _ salt: [UInt8], _ base: Int64, _ size: Int64
    ) -> String {
        var text = "image-outline-1 \(base) \(size) \(map.size) \(salt)\n"
        for region in map.metadata { text += "\(region.offset) \(Digest.of(region.bytes))\n" }
        for (file, place) in zip(bundle.files, map.files) {
            let (data, tail) = (place?.data, place?.tail)
            text += "\(data?.offset ?? 0) \(data?.length ?? 0) \(tail?.offset ?? 0) \(tail?.length ?? 0) "
            // What is known of small files differs from run to run; they are fetched again anyway.
            text += (isPromised(file) ? file.source.digest : nil)?.description ?? "-"
            text += "\n"
        }
        return prefix + Digest.of(text).hex
    }
}
