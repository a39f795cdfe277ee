public import Formats
internal import FoundationEssentials
public import KapsuleCore

/// Makes a disk with two partitions, an image and its hash tree, as older privatemode releases have them from
/// systemd-repart.
public struct RepartExporter: Exporter {
    public struct Options: Sendable {
        /// `.privatemode` for what erofs-utils 1.9 wrote, `.repart186` for releases before.
        public var profile = EROFS.Profile.privatemode
        /// Of the whole disk, in bytes; nil for the smallest that will do. The root hash depends on it.
        public var diskSize: Int64?
        /// Whether an output of the same name is replaced.
        public var replaces = false
        /// Pieces that are hashed and written at one time.
        public var workers = ProcessInfo.processInfo.activeProcessorCount

        public init() {}
    }

    public let name = "repart"
    private let directory: String
    private let options: Options

    /// - Parameter directory: gets the disk and its description; made when there is none.
    public init(to directory: String, _ options: Options = Options()) {
        self.directory = directory
        self.options = options
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        try RepartSession(bundle, options, in: directory)
    }
}
