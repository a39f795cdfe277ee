internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// The clear bytes of an encrypted partition, decrypted as they are read.
struct DecryptingSource: ByteSource {
    /// Stays in the second-level cache between reading, decrypting and hashing.
    private static let chunkSize = 256 << 10

    private let file: FileSource
    /// Of the partition in the file, in bytes.
    private let range: Range<Int64>
    private let cipher: SectorCipher

    /// - Precondition: `range` lies within the file and is whole sectors of the cipher.
    init(_ file: FileSource, _ range: Range<Int64>, _ cipher: SectorCipher) {
        precondition(range.upperBound <= file.size, "a partition lies on its disk")
        precondition((range.upperBound - range.lowerBound) % Int64(SectorCipher.sectorSize) == 0, "whole sectors")
        self.file = file
        self.range = range
        self.cipher = cipher
    }

    var size: Int64 { range.upperBound - range.lowerBound }
    var backing: ByteBacking { .stream }

    func read(_ wanted: Range<Int64>, into sink: inout some ByteSink & ~Copyable) throws {
        let sector = Int64(SectorCipher.sectorSize)
        var position = wanted.lowerBound / sector * sector
        let end = (wanted.upperBound + sector - 1) / sector * sector
        while position < end {
            try Task.checkNotInterrupted()
            let chunk = position..<min(position + Int64(Self.chunkSize), end)
            let plain = try decrypted(chunk)
            let part = wanted.clamped(to: chunk)
            try sink.write(
                plain.span.extracting(Int(part.lowerBound - position)..<Int(part.upperBound - position)))
            position = chunk.upperBound
        }
        try file.checkUnchanged()
    }

    private func decrypted(_ chunk: Range<Int64>) throws -> [UInt8] {
        let encrypted = try FileStorage(file.file, at: range.lowerBound).read(at: chunk.lowerBound, count: chunk.count)
        var plain = [UInt8](repeating: 0, count: encrypted.count)
        var room = plain.mutableSpan
        try cipher.decrypt(encrypted.span, into: &room, at: chunk.lowerBound / Int64(SectorCipher.sectorSize))
        return plain
    }
}
