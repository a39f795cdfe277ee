public import Formats
internal import KapsuleCore
internal import KapsuleIO

/// A file system image whose directories were read. Where a root hash is known, every byte of it is checked as it is read.
public struct ReadableImage: Sendable {
    public let path: String
    public let system: EROFS.Image
    /// What `system` was read from; its files' content too.
    let data: any ByteSource
    private let sealed: SealedImage?
    private let file: SealedFile

    /// - Throws: `.unverified` at the first block that is not what the root hash promises.
    public init(_ sealed: SealedImage) throws {
        let data = try sealed.verifiedData()
        system = try sealed.namingFaults { try EROFS.readImage(data) }
        self.data = data
        self.sealed = sealed
        file = sealed.file
        path = file.path
    }

    /// Nothing is checked but that the file system makes sense.
    ///
    /// - Throws: `.undecryptable` for an encrypted disk.
    public init(unproven file: SealedFile) throws {
        switch file.container {
        case .image: data = file.source
        case .repartDisk(let table):
            let range = table.partitions[0].range.clamped(to: 0..<file.source.size)
            data = SliceSource(file.source, range)
        case .encryptedDisk:
            throw KapsuleError(
                .undecryptable, id: "emwp.no-root", "\(file.path) is encrypted, and its key follows from the root hash",
                remedy: "give --root-hash and --key-file")
        }
        let data = data
        system = try doing("reading \(file.path)") { try EROFS.readImage(data) }
        sealed = nil
        self.file = file
        path = file.path
    }

    func naming<T>(_ body: () throws -> T) throws -> T {
        guard let sealed else { return try body() }
        return try sealed.namingFaults(body)
    }

    /// For bytes that the kernel copied.
    func checkUnchanged() throws { try file.source.checkUnchanged() }
}
