internal import KapsuleCore
internal import Logging

/// What `--debug` shows of requests: no query, no credentials.
struct HTTPLog: Sendable {
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    func sending(_ request: HTTPRequest) {
        logger.debug("\(request.method.rawValue) \(request.url) [\(request.headers.redacted)]")
    }

    func received(_ response: HTTPResponse, to request: HTTPRequest, after start: ContinuousClock.Instant) {
        let time = start.duration(to: .now).milliseconds
        logger.debug(
            "\(response.status) to \(request.summary) after \(time) ms [\(response.headers.redacted)]")
    }

    func failed(_ request: HTTPRequest, _ error: any Error, after start: ContinuousClock.Instant) {
        let reason = (error as? KapsuleError).map { "\($0.id): \($0.message)" } ?? "\(type(of: error))"
        logger.debug("\(request.summary) failed after \(start.duration(to: .now).milliseconds) ms: \(reason)")
    }
}
