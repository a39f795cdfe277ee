internal import KapsuleCore
internal import KapsuleIO
public import OCI

/// The images of one user, in one directory.
public struct ImageStore: Sendable {
    /// Where the blobs and names are.
    public let layout: ImageLayout

    /// Opens the store; makes an empty one where there is none, for its owner's eyes only.
    ///
    /// - Throws: `.conflict` when `home` holds something else.
    public init(home: String) throws {
        layout = try ImageLayout.create(home, mode: 0o700)
    }

    private static let useLockName = ".kapsule.lock.use"

    /// Says that blobs are being written or relied on. Waits while `prune` runs.
    ///
    /// A build takes this before it asks whether a blob is here, and lets go after its last tag: what it found or wrote
    /// in between stays, though no tag names it yet. Released by the kernel if the process dies.
    public func use() throws -> StoreUse { StoreUse(lock: try FileLock(useLockPath, .shared)) }

    /// Nil when somebody uses the store.
    func exclude() throws -> FileLock? { try FileLock.ifFree(useLockPath, .exclusive) }

    private var useLockPath: String { "\(layout.path)/\(Self.useLockName)" }
}

/// Keeps `prune` away as long as it lives.
public final class StoreUse: Sendable {
    private let lock: FileLock

    init(lock: FileLock) { self.lock = lock }
}
