// `verity-tree FILE SALT UUID`: a dm-verity superblock and hash tree behind the data of FILE, as `veritysetup format` with
// `--hash-offset` makes them, and the root hash on stdout. For the benchmark and for comparing by hand: kapsule itself
// makes trees only together with the images they are of.

internal import Formats
internal import Foundation
internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO
internal import Synchronization

struct FileStorage: ImageStorage {
    let file: OpenFile

    func write(_ bytes: Span<UInt8>, at offset: Int64) throws { try file.write(bytes, at: offset) }

    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        var block = [UInt8](repeating: 0, count: count)
        _ = try file.read(at: offset, into: &block, limit: count)
        return block
    }
}

/// Reads data from `start` to `end`, both multiples of 512 KiB or the end of the data, into the tree.
func add(_ file: OpenFile, from start: Int64, to end: Int64, to tree: VerityTree) throws {
    var block = [UInt8](repeating: 0, count: 512 << 10)
    var offset = start
    while offset < end {
        let count = try file.read(at: offset, into: &block, limit: Int(min(Int64(block.count), end - offset)))
        precondition(count % VerityGeometry.blockSize == 0 && count > 0, "\(file) changes while it is read")
        try tree.add(block.span.extracting(first: count), at: offset / Int64(VerityGeometry.blockSize))
        offset += Int64(count)
    }
}

func salt(_ hex: String) -> [UInt8]? {
    let digits = hex.compactMap(\.hexDigitValue)
    guard digits.count == hex.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

let arguments = CommandLine.arguments
guard arguments.count == 4, let salt = salt(arguments[2]), let uuid = UUIDBytes(parsing: arguments[3]) else {
    print("usage: verity-tree FILE SALT UUID")
    exit(2)
}
let file = try OpenFile.updating(arguments[1])
let size = try file.status().size
guard size > 0, size % Int64(VerityGeometry.blockSize) == 0 else {
    print("\(arguments[1]) is not made of blocks of 4096 bytes")
    exit(2)
}
let geometry = VerityGeometry(behindDataOf: size)
let tree = VerityTree(geometry, salt: salt, storage: FileStorage(file: file))
let share = Int64(16 << 20)
let failure = Mutex<(any Error)?>(nil)
DispatchQueue.concurrentPerform(iterations: Int((size + share - 1) / share)) { index in
    let start = Int64(index) * share
    do {
        try add(file, from: start, to: min(start + share, size), to: tree)
    } catch {
        failure.withLock { $0 = error }
    }
}
if let error = failure.withLock({ $0 }) { throw error }
try file.write(VeritySuperblock(uuid: uuid, salt: salt, dataBlocks: geometry.dataBlocks).encode().span, at: size)
print(try tree.finish().hex)
