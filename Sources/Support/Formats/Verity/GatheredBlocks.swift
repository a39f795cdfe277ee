internal import Synchronization

/// Keeps blocks that are written one at a time until those beside them have come, and writes them together: the lock of a
/// file is taken once for many.
final class GatheredBlocks: Sendable {
    /// Blocks that are written together.
    private static let groupLength: Int64 = 32
    /// Groups that wait at most; with their blocks 1.5 MiB.
    private static let mostGroups = 12
    private static let blockSize = VerityGeometry.blockSize

    private struct Group {
        var bytes = [UInt8](repeating: 0, count: Int(groupLength) * blockSize)
        var has = [Bool](repeating: false, count: Int(groupLength))
        /// Grows with every group that begins.
        var age: Int
    }

    private struct State {
        /// By their first block.
        var groups: [Int64: Group] = [:]
        var begun = 0
    }

    private let storage: any ImageStorage
    private let base: Int64
    private let count: Int64
    // Held over writing and reading too: a block that comes again is written after what it replaces.
    private let state = Mutex(State())

    /// - Parameters:
    ///   - base: of block 0, in bytes from the start of `storage`.
    ///   - count: how many blocks there are.
    init(_ storage: any ImageStorage, at base: Int64, count: Int64) {
        self.storage = storage
        self.base = base
        self.count = count
    }

    func write(_ block: [UInt8], at index: Int64) throws {
        precondition(block.count == Self.blockSize, "a block is whole")
        try state.withLock { state in
            let first = index - index % Self.groupLength
            if state.groups[first] == nil {
                try makeRoom(&state)
                state.begun += 1
                state.groups[first] = Group(age: state.begun)
            }
            let slot = Int(index - first)
            state.groups[first]!.bytes.replaceSubrange(
                slot * Self.blockSize..<(slot + 1) * Self.blockSize, with: block)
            state.groups[first]!.has[slot] = true
            let wanted = min(Self.groupLength, count - first)
            if state.groups[first]!.has.prefix(Int(wanted)).allSatisfy(\.self) { try store(first, &state) }
        }
    }

    func read(_ index: Int64) throws -> [UInt8] {
        try state.withLock { state in
            let slot = Int(index % Self.groupLength)
            if let group = state.groups[index - Int64(slot)], group.has[slot] {
                return Array(group.bytes[slot * Self.blockSize..<(slot + 1) * Self.blockSize])
            }
            return try storage.read(at: base + index * Int64(Self.blockSize), count: Self.blockSize)
        }
    }

    /// Writes what still waits.
    func flush() throws {
        try state.withLock { state in
            for first in state.groups.keys.sorted() { try store(first, &state) }
        }
    }

    private func makeRoom(_ state: inout State) throws {
        guard state.groups.count >= Self.mostGroups, let oldest = state.groups.min(by: { $0.value.age < $1.value.age })
        else { return }
        try store(oldest.key, &state)
    }

    /// Writes the blocks of a group that have come, and forgets it.
    private func store(_ first: Int64, _ state: inout State) throws {
        guard let group = state.groups[first] else { return }
        var start = 0
        for slot in 0...group.has.count where slot == group.has.count || !group.has[slot] {
            if start < slot {
                let run = group.bytes.span.extracting(start * Self.blockSize..<slot * Self.blockSize)
                try storage.write(run, at: base + (first + Int64(start)) * Int64(Self.blockSize))
            }
            start = slot + 1
        }
        state.groups[first] = nil
    }
}
