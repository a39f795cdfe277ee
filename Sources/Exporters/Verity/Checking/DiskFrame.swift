internal import Formats
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// What of a disk is in no partition: the table, its copy, and what lies between, which is zero.
struct DiskFrame {
    private let file: SealedFile
    private let table: PartitionTable

    init(_ file: SealedFile, _ table: PartitionTable) {
        self.file = file
        self.table = table
    }

    /// Whether the names on an encrypted disk are those of the image it should hold.
    ///
    /// - Throws: `.unverified` when they are another's.
    func checkIdentity(_ reference: RootReference, modelID: String?) throws {
        let partition = table.partitions[0]
        guard table.diskUUID == UUIDBytes(name: "\(reference.root.hex)-emwp-disk") else {
            throw refusal("its disk GUID, \(table.diskUUID), is not that of the root hash \(reference.root.hex)")
        }
        if let uuid = reference.uuid, uuid != partition.uuid {
            throw refusal("its partition's UUID is \(partition.uuid), and the reference has \(uuid)")
        }
        if let modelID, partition.uuid != UUIDBytes(name: "\(modelID)-emwp-outer") {
            throw refusal("its partition's UUID, \(partition.uuid), is not that of \(modelID)")
        }
    }

    /// Every byte outside of the partitions.
    func check(_ image: SealedImage) throws {
        if case .encryptedDisk = file.container { try checkLayout(image) }
        try compare(table.encodeHead(), at: 0, "the partition table")
        try compare(table.encodeTail(), at: table.tailOffset, "the copy of the partition table")
        var end = Int64(PartitionTable.headSize)
        for range in table.partitions.map(\.range).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            try checkZeros(end..<range.lowerBound)
            end = range.upperBound
        }
        try checkZeros(end..<table.tailOffset)
    }

    /// Whether the partition is as the packer places it, and just holds the image.
    private func checkLayout(_ image: SealedImage) throws {
        let expected = EMWPDisk(identity: image.modelID ?? "", plaintextSize: image.geometry.end)
            .table(root: image.root)
        var partition = expected.partitions[0]
        partition.uuid = table.partitions[0].uuid
        guard table.partitions == [partition], table.sectorCount == expected.sectorCount else {
            throw refusal("its partition is not where an image of \(image.geometry.end) bytes has it")
        }
    }

    private func compare(_ expected: [UInt8], at offset: Int64, _ what: String) throws {
        let bytes = try SealedImage.bytes(offset..<offset + Int64(expected.count), of: file.source)
        guard bytes == expected else { throw refusal("\(what) is damaged") }
    }

    private func checkZeros(_ range: Range<Int64>) throws {
        guard let bad = try ZeroCheck.firstOther(in: range, of: file.source) else { return }
        throw refusal("byte \(bad) lies outside of the partitions and should be zero")
    }

    private func refusal(_ why: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "verity.disk", "\(file.path) is not what it should be: \(why)",
            remedy: "fetch or build it again, or check --root-hash and --model-id")
    }
}

/// Looks for what is not zero.
struct ZeroCheck: ByteSink {
    private var next: Int64
    private var found: Int64?

    /// Offset of the first byte of `range` that is another; nil when there is none.
    static func firstOther(in range: Range<Int64>, of source: some ByteSource) throws -> Int64? {
        guard !range.isEmpty else { return nil }
        var check = ZeroCheck(next: range.lowerBound)
        try source.read(range, into: &check)
        return check.found
    }

    private init(next: Int64) { self.next = next }

    mutating func write(_ bytes: Span<UInt8>) {
        var any: UInt8 = 0
        for index in bytes.indices { any |= bytes[index] }
        if any != 0, found == nil { found = bytes.indices.first { bytes[$0] != 0 }.map { next + Int64($0) } }
        next += Int64(bytes.count)
    }
}
