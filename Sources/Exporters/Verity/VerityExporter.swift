public import Formats
internal import FoundationEssentials
public import KapsuleCore

/// Makes a file system image with the hash tree that proves it, as modelwrap and privatemode make them.
public struct VerityExporter: Exporter {
    public struct Options: Sendable {
        public var profile = EROFS.Profile.modelwrap2
        /// Whether an output of the same name and other content is replaced.
        public var replaces = false
        /// Exclusion patterns as given, for the description of a privatemode image.
        public var excludedFiles = ""
        /// Pieces that are hashed and written at one time.
        public var workers = ProcessInfo.processInfo.activeProcessorCount

        public init() {}
    }

    public let name = "verity"
    private let directory: String
    private let options: Options

    /// - Parameter directory: what the outputs' own directories are in; made when there is none.
    public init(to directory: String, _ options: Options = Options()) {
        self.directory = directory
        self.options = options
    }

    public func begin(_ bundle: ModelBundle) throws -> any ExportSession {
        let parameters = try VerityParameters(bundle, options.profile)
        let output: any VerityOutput =
            if options.profile == .privatemode {
                PrivatemodeOutput(bundle, excludedFiles: options.excludedFiles, in: directory)
            } else {
                try ModelwrapOutput(bundle, options.profile, in: directory, replaces: options.replaces)
            }
        return try VeritySession(bundle, parameters, output, options)
    }
}
