internal import FoundationEssentials
internal import HTTP
internal import Hub
internal import KapsuleCore
internal import KapsuleIO
internal import Logging
internal import ModelfileParser
internal import OCI
internal import Store
internal import Synchronization

/// What every command needs: the environment, the local store, registries, and a way to be heard.
final class Toolbox: Sendable {
    let environment: [String: String]
    let isQuiet: Bool
    let progress: ProgressRenderer
    let logger: Logger
    /// The Modelfile being worked on, so that errors can show its lines.
    private let modelfileText = Mutex<SourceText?>(nil)

    init(_ options: OutputOptions) throws {
        environment = ProcessInfo.processInfo.environment
        isQuiet = options.quiet
        progress = ProgressRenderer(try options.mode(environment), environment: environment)
        TerminalLogHandler.bootstrap(debug: options.debug, progress: progress)
        logger = Logger(label: "kapsule")
        Self.adoptProxy(environment)
    }

    /// libcurl heeds `http_proxy` in lower case only, because a CGI program has a header of its client in `HTTP_PROXY`.
    /// Everybody else takes both.
    private static func adoptProxy(_ environment: [String: String]) {
        guard environment["http_proxy"] == nil, environment["REQUEST_METHOD"] == nil,
            let proxy = environment["HTTP_PROXY"]
        else { return }
        CurrentProcess.setEnvironment("http_proxy", proxy)
    }

    // MARK: Being heard

    /// A line of the result.
    func print(_ line: String) throws { try write(line + "\n") }

    /// Lines of the result, ended already. Bars are taken away first.
    func write(_ text: String) throws {
        progress.finish()
        try StandardStream.output.write(text)
    }

    /// Something to know that does not stop the work.
    func note(_ text: String) { if !isQuiet { progress.message(text) } }

    /// Errors about this Modelfile show its lines from now on.
    func remember(_ text: SourceText) { modelfileText.withLock { $0 = text } }

    /// Ends what is drawn.
    func finish() { progress.finish() }

    /// Tells what went wrong; gives the exit status.
    func report(_ error: any Error) -> Int32 {
        try? StandardStream.error.write(ErrorReport.text(for: error, in: modelfileText.withLock { $0 }))
        return ErrorReport.error(error).code.rawValue
    }

    /// For files without a name that are gone with the process.
    var temporaryDirectory: String { environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp" }

    // MARK: The local store

    func paths() throws -> StorePaths { try StorePaths(environment: environment) }
    func store() throws -> ImageStore { try ImageStore(home: try paths().home) }
    func digestCache() throws -> DigestCache { try DigestCache(directory: try paths().cache) }

    // MARK: Servers

    /// How servers are spoken to that are no registries.
    var transportSettings: TransportSettings {
        var settings = TransportSettings()
        settings.logger = logger
        settings.userAgent = "kapsule/\(Kapsule.version)"
        settings.tls.caFile = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        return settings
    }

    /// The hub, as the environment names it.
    func hub() throws -> HubClient {
        HubClient(try HubSettings(environment: environment, transport: transportSettings))
    }

    /// Connections, tokens and what is known of hosts, for the whole run.
    func registries(_ options: RegistryFlags) throws -> RegistrySession {
        var settings = RegistryOptions(environment: environment)
        settings.plainHTTP = options.plainHTTP
        settings.insecure = options.insecure
        settings.cacheDirectory = try paths().cache
        settings.transport.logger = logger
        settings.transport.userAgent = "kapsule/\(Kapsule.version)"
        return RegistrySession(settings, credentials: try options.credentials(environment))
    }
}
