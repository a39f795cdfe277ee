internal import Formats
public import KapsuleCore
internal import KapsuleCrypto

extension SealedImage {
    /// Bytes that `verify` reads of the data, for progress.
    public var checkedSize: Int64 { hashOffset }

    /// Checks every byte of the file: data and tree against the root hash, and all else against what it has to be.
    ///
    /// - Parameters:
    ///   - workers: ranges that are read and hashed at one time.
    ///   - advance: is told of data bytes as they have been checked.
    /// - Throws: `.unverified` that names the first bad block and the file it belongs to.
    public func verify(workers: Int, advance: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        switch file.container {
        case .image: break
        case .encryptedDisk(let table), .repartDisk(let table): try DiskFrame(file, table).check(self)
        }
        try checkLength()
        let verifier = VerityVerifier(geometry, salt: salt, root: root)
        let fault = try await verifier.firstFault(data: data, hashes: hashes, workers: workers, advance: advance)
        if let fault { throw FaultReport(image: self).error(fault) }
        // Last: the root hash says nothing of it, and no consumer reads it.
        try checkSuperblock()
        try checkRest()
    }

    /// The data, of which each block is checked before a byte of it is handed out.
    ///
    /// - Throws: `.unverified` when the tree itself is not as the root hash promises.
    public func verifiedData() throws -> any ByteSource {
        try checkLength()
        return try namingFaults {
            try VerifiedSource(data: data, hashes: hashes, geometry, salt: salt, root: root)
        }
    }

    /// Runs `body`; a bad block that a verified source meets in it is named as `verify` names it.
    func namingFaults<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as VerifiedSource.Fault {
            throw FaultReport(image: self).error(error.fault)
        }
    }

    /// Whether the top of the tree is what the root hash speaks of: a glance, not a proof.
    public func topAgrees() throws -> Bool {
        try checkLength()
        let blockSize = Int64(VerityGeometry.blockSize)
        let top = geometry.levels.last?.offset ?? 0
        let source = geometry.levels.isEmpty ? data : hashes
        let block = try Self.bytes(top..<top + blockSize, of: source)
        return BlockHasher(prefix: salt, blockSize: VerityGeometry.blockSize).hash(block.span) == root.bytes
    }

    // MARK: What no hash is over

    private func checkLength() throws {
        let needed = (data: hashOffset, hashes: geometry.end)
        guard data.size >= needed.data, hashes.size >= needed.hashes else {
            throw KapsuleError(
                .unverified, id: "verity.too-short",
                "\(file.path) is cut short: the tree over \(needed.data) bytes of data ends at byte \(needed.hashes), and "
                    + "there are \(hashes.size)",
                remedy: "fetch or build it again, or check the hash offset")
        }
    }

    private func checkSuperblock() throws {
        let range = superblockOffset..<superblockOffset + Int64(VerityGeometry.blockSize)
        let block = try Self.bytes(range, of: hashes)
        let superblock = try doing("verifying \(file.path)") { try VeritySuperblock(decoding: block) }
        let expected = VeritySuperblock(
            uuid: expectedUUID ?? superblock.uuid, salt: salt, dataBlocks: geometry.dataBlocks)
        guard block == expected.encode() else {
            throw KapsuleError(
                .unverified, id: "verity.superblock",
                "\(file.path) is damaged: data and hash tree are as promised, but the block that describes the tree is not",
                remedy: "fetch or build it again")
        }
    }

    /// What is behind the tree: nothing, or zeros in a partition of its own.
    private func checkRest() throws {
        let rest = geometry.end..<hashes.size
        if case .repartDisk = file.container {
            guard let bad = try ZeroCheck.firstOther(in: rest, of: hashes) else { return }
            throw behind("byte \(bad) of the hash partition is not zero, and lies behind the tree")
        }
        guard rest.isEmpty else { throw behind("\(rest.count) bytes lie behind the tree") }
    }

    private func behind(_ what: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "verity.rest", "\(file.path) is damaged: \(what), where nothing vouches for them",
            remedy: "fetch or build it again")
    }
}
