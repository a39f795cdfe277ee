/// Where an image and its hash tree are being written: a file, or a part of one.
///
/// Several threads write at one time, to different places. Offsets count from the image's first byte.
public protocol ImageStorage: Sendable {
    func write(_ bytes: Span<UInt8>, at offset: Int64) throws
    /// Reads back `count` bytes that were written at `offset`.
    func read(at offset: Int64, count: Int) throws -> [UInt8]
}
