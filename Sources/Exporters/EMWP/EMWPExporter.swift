public import Formats
internal import FoundationEssentials
public import KapsuleCore

/// Makes a verity image inside an encrypted disk. Only whoever has the master key can read it, and what they read is
/// proved by the root hash.
public struct EMWPExporter: Exporter {
    public struct Options: Sendable {
        public var profile = EROFS.Profile.modelwrap2
        /// Whether an output of the same name and other content is replaced.
        public var replaces = false
        /// Pieces that are hashed, encrypted and written at one time.
        public var workers = ProcessInfo.processInfo.activeProcessorCount

        public init() {}
    }

    public let name = "emwp"
    private let directory: String
    private let masterKey: [UInt8]
    private let options: Options

    /// - Parameters:
    ///   - directory: what the outputs' own directories are in; made when there is none.
    ///   - masterKey: 64 bytes.
    public init(to directory: String, masterKey: [UInt8], _ options: Options = Options()) {
        self.directory = directory
        self.masterKey = masterKey
        self.options = options
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        guard options.profile != .privatemode else {
            throw KapsuleError(
                .usage, id: "emwp.profile", "an encrypted disk cannot hold a privatemode image",
                remedy: "use --verity-profile modelwrap-1 or modelwrap-2")
        }
        guard masterKey.count == EMWPDisk.masterKeySize else {
            throw EMWPDisk.keySizeError(masterKey.count)
        }
        return try EMWPSession(bundle, masterKey: masterKey, options, in: directory)
    }
}
