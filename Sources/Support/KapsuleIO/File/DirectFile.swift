internal import CLinux
internal import Glibc
internal import KapsuleCore
internal import Synchronization

/// A large file that is written past the page cache (`O_DIRECT`), while that is faster.
///
/// Filling the page cache takes a core's time, one thread's at a time for one file, and what is in it has to go to the device
/// all the same. But a slow device lets whoever fills the cache go on at once. So both ways are measured as the file is
/// written, and the faster one is taken. Where a file system cannot do otherwise, everything goes through the cache.
///
/// Any number of threads may write. Two that write within one block of 4096 bytes have to agree themselves.
public final class DirectFile: Sendable {
    /// Smaller files are not worth it, in bytes.
    public static let smallest: Int64 = 8 << 20
    /// Shorter writes go through the cache, in bytes.
    private static let shortest = 64 << 10
    /// Longer ones gain nothing, in bytes.
    private static let pieceSize = 1 << 20
    private static let alignment = ByteBlock.alignment
    /// How a file system says that it writes nothing this way.
    private static let refusals = [EINVAL, EOPNOTSUPP]

    public let file: OpenFile
    /// The same file, opened once more: nil where that cannot be.
    private let direct: OpenFile?
    private let pace = WritePace()
    /// For bytes that lie in memory as a device does not take them.
    private let blocks = SpareBlocks(blockSize: pieceSize)

    /// - Parameter size: that the file will have, in bytes.
    public init(_ file: OpenFile, size: Int64) {
        self.file = file
        guard size >= Self.smallest else {
            direct = nil
            return
        }
        let flags = O_WRONLY | O_CLOEXEC | kapsule_o_direct()
        let descriptor = unsafe kapsule_open("/proc/self/fd/\(file.descriptor)", flags, 0)
        direct = descriptor >= 0 ? OpenFile(descriptor: descriptor, path: file.path) : nil
        // Reading ahead would bring blocks into the cache that another thread is about to write past it.
        if direct != nil { file.adviseRandom() }
    }

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: Span<UInt8>, at offset: Int64) throws {
        guard let direct, offset % Int64(Self.alignment) == 0 else { return try file.write(bytes, at: offset) }
        var done = 0
        while done < bytes.count {
            let (place, rest) = (offset + Int64(done), bytes.extracting(droppingFirst: done))
            let count = min(rest.count, Self.pieceSize) / Self.alignment * Self.alignment
            guard count >= Self.shortest else { return try file.write(rest, at: place) }
            done += try write(piece: rest.extracting(first: count), at: place, direct)
        }
    }

    /// Writes a whole piece, or the front of one; says how many bytes.
    private func write(piece: Span<UInt8>, at offset: Int64, _ direct: OpenFile) throws -> Int {
        try pace.measure { way in
            if way == .direct {
                let written = try give(piece, to: direct, at: offset) / Self.alignment * Self.alignment
                if written > 0 { return written }
                // A device, or a file system, that takes nothing this way will not do so the next time.
                pace.stayWithCache()
            }
            try file.write(piece, at: offset)
            return piece.count
        }
    }

    private func give(_ piece: Span<UInt8>, to direct: OpenFile, at offset: Int64) throws -> Int {
        let isAligned = unsafe piece.withUnsafeBufferPointer {
            UInt(bitPattern: $0.baseAddress) % UInt(Self.alignment) == 0
        }
        if isAligned { return try direct.writeOnce(piece, at: offset, orNothing: Self.refusals) }
        let block = blocks.take()
        defer { blocks.giveBack(block) }
        _ = block.fill(piece)
        return try block.withBytes { try direct.writeOnce($0, at: offset, orNothing: Self.refusals) }
    }
}
