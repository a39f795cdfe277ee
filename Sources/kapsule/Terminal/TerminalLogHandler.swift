import KapsuleCore
import Logging

/// Writes what is logged to standard error, above the lines of progress.
struct TerminalLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let progress: ProgressRenderer

    init(label: String, level: Logger.Level, progress: ProgressRenderer) {
        self.label = label
        self.progress = progress
        logLevel = level
    }

    /// Sends all logs of the process to `progress`. To be called once.
    static func bootstrap(debug: Bool, progress: ProgressRenderer) {
        LoggingSystem.bootstrap { label in
            TerminalLogHandler(label: label, level: debug ? .debug : .warning, progress: progress)
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }.merging(event.metadata ?? [:]) { $1 }
        let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        progress.message(Printable.text("\(label): \(event.message)\(details)"), level: event.level.rawValue)
    }
}
