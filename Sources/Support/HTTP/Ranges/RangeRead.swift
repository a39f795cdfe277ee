internal import KapsuleCore

/// One range of an object, read in order in as many requests as it takes.
final class RangeRead<Origin: RangeOrigin> {
    /// Bytes that count as progress, and refresh the number of attempts.
    private static var progress: Int64 { 64 << 10 }

    private let origin: Origin
    /// Next byte to deliver, and where to stop; from the start of the object.
    private(set) var position: Int64
    private let end: Int64
    private let acceptsWhole: Bool
    /// Bytes that come before `position`, from a server that ignores ranges.
    private var toSkip: Int64 = 0
    private var sinkHasFailed = false
    /// Where the budget was last refreshed.
    private var refreshed: Int64

    /// Ends a request whose remaining bytes nobody wants.
    private struct IsComplete: Error {}

    /// - Parameter acceptsWhole: whether to take all of the object, when the server sends that, and skip what is not wanted.
    init(_ origin: Origin, _ range: Range<Int64>, acceptsWhole: Bool) {
        self.origin = origin
        position = range.lowerBound
        refreshed = range.lowerBound
        end = range.upperBound
        self.acceptsWhole = acceptsWhole || range == 0..<origin.size
    }

    /// - Throws: `RangesIgnored`, before the first byte of an answer that is all of the object and not wanted.
    func run(_ deliver: (Span<UInt8>) throws -> Void) throws {
        while position < end {
            try origin.retry.run { attempt in
                do {
                    try request(&attempt, deliver)
                } catch {
                    attempt.isFinal = sinkHasFailed
                    if position - refreshed >= Self.progress || position == end {
                        refreshed = position
                        attempt.progressed()
                    }
                    let isInterrupted = (error as? KapsuleError)?.code == .interrupted
                    if !sinkHasFailed, !isInterrupted { origin.attemptFailed(error) }
                    throw error
                }
            }
        }
    }

    /// One request. Returns when its body has ended well, which may be before the end of what is wanted.
    private func request(_ attempt: inout RetryPolicy.Attempt, _ deliver: (Span<UInt8>) throws -> Void) throws {
        guard position < end else { return }
        let start = position
        let response: HTTPResponse
        do {
            response = try origin.get(position..<end, accepting: accepts) { try take($0, deliver) }
        } catch is IsComplete {
            return
        }
        guard response.status == 200 || response.status == 206 else {
            attempt.heard(response)
            if response.status == 416, let total = UnsatisfiedRange.total(response), total != origin.size {
                throw origin.wrongSize(total)
            }
            throw origin.refusal(response)
        }
        guard position > start else {
            throw KapsuleError(
                .unavailable, id: "http.cut",
                "\(response.url.authority) ended \(origin.name) at byte \(position) of \(origin.size)",
                remedy: HTTPFailure.resumes)
        }
    }

    private func accepts(_ response: HTTPResponse) throws -> Bool {
        switch response.status {
        case 200:
            guard acceptsWhole else { throw RangesIgnored() }
            if let length = response.contentLength, length != origin.size { throw origin.wrongSize(length) }
            toSkip = position
        case 206:
            guard let text = response.headers["Content-Range"], let content = ContentRange(parsing: text),
                content.range.lowerBound == position, content.range.upperBound <= end
            else {
                throw KapsuleError(
                    .unavailable, id: "http.range",
                    "\(response.url.authority) answers for another range of \(origin.name) than bytes \(position) to "
                        + "\(end - 1)",
                    remedy: "this is for the server's operator to mend")
            }
            if let total = content.total, total != origin.size { throw origin.wrongSize(total) }
            toSkip = 0
        default: return false
        }
        return true
    }

    private func take(_ bytes: Span<UInt8>, _ deliver: (Span<UInt8>) throws -> Void) throws {
        let skipped = Int(min(toSkip, Int64(bytes.count)))
        toSkip -= Int64(skipped)
        let wanted = Int(min(end - position, Int64(bytes.count - skipped)))
        guard wanted > 0 else {
            if position == end { throw IsComplete() }
            return
        }
        do {
            try deliver(bytes.extracting(skipped..<skipped + wanted))
        } catch {
            sinkHasFailed = true
            throw error
        }
        position += Int64(wanted)
        if skipped + wanted < bytes.count { throw IsComplete() }
    }
}

/// The server sends all of an object, whatever part of it is asked for.
struct RangesIgnored: Error {}

/// `Content-Range: bytes */1234`, in a 416.
enum UnsatisfiedRange {
    static func total(_ response: HTTPResponse) -> Int64? {
        guard let text = response.headers["Content-Range"]?.lowercased(), text.hasPrefix("bytes */") else { return nil }
        let digits = text.dropFirst(8)
        return digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(digits) : nil
    }
}
