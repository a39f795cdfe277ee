internal import Foundation
internal import Glibc
internal import Synchronization

/// An HTTP server on a free port of this machine that misbehaves as a test tells it to.
///
/// Every request's head is given to a closure, which says how to answer. Nothing in it sleeps: a stalled answer waits
/// until the client has gone.
public final class LoopbackServer: Sendable {
    public struct Request: Sendable {
        public let method: String
        /// Path and query.
        public let target: String
        public let headers: [(name: String, value: String)]
        /// As much of it as was read.
        public fileprivate(set) var body: [UInt8] = []
        /// Counts connections from 0: equal for requests that came over the same one.
        public let connection: Int

        public subscript(name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
        public var path: String { String(target.prefix { $0 != "?" }) }
    }

    public struct Reply: Sendable {
        public enum Framing: Sendable {
            /// `Content-Length`: of the body, or a lie.
            case length(Int? = nil)
            case chunked
            /// The end of the connection is the end of the body.
            case close
        }

        public enum Ending: Sendable {
            /// The connection is kept.
            case keep
            /// Closed, as by a crashed server.
            case cut
            /// Closed with a reset (RST), as by a firewall.
            case reset
            /// Not another byte, until the client goes.
            case stall
        }

        public var status: Int
        public var headers: [String]
        public var body: [UInt8]
        public var framing = Framing.length()
        /// Bytes of the body that are sent; nil for all.
        public var sends: Int?
        /// Bytes of the head that are sent before `ending`; nil for all, and the body.
        public var headSends: Int?
        /// Bytes that one `send` takes at most.
        public var piece = Int.max
        /// How long the server waits before each piece, in milliseconds; the client's leaving ends it.
        public var pauseMilliseconds: Int32 = 0
        public var ending = Ending.keep
        /// Bytes of the request's body that are read before answering; nil for all.
        public var reads: Int?
        /// Not even a head is sent: only `ending` happens.
        public var isSilent = false
        /// Gets the request's body as it comes, in place of `Request.body`; also what came before it broke off.
        public var receive: (@Sendable ([UInt8]) -> Void)?
        /// Makes the real reply when the whole body has come.
        public var then: (@Sendable (Request) -> Reply)?

        public init(_ status: Int, _ headers: [String] = [], _ body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }

        public init(_ status: Int, _ headers: [String] = [], text: String) {
            self.init(status, headers, Array(text.utf8))
        }

        /// The same, changed.
        public func with(_ change: (inout Reply) -> Void) -> Reply {
            var reply = self
            change(&reply)
            return reply
        }
    }

    private struct State {
        var requests: [Request] = []
        var connections: Set<Int32> = []
        var accepted = 0
        var isOver = false
    }

    /// What the accepting thread holds on to; the server itself may go meanwhile.
    private final class Shared: Sendable {
        let state = Mutex(State())
        let answer: @Sendable (Request) -> Reply
        init(_ answer: @escaping @Sendable (Request) -> Reply) { self.answer = answer }
    }

    private let shared: Shared
    private let listener: Int32
    public let port: Int

    /// - Parameter answer: called on several threads.
    public init(_ answer: @escaping @Sendable (Request) -> Reply) throws {
        let shared = Shared(answer)
        self.shared = shared
        (listener, port) = try LoopbackSocket.listen()
        let listener = listener
        Thread.detachNewThread {
            while case let socket = accept(listener, nil, nil), socket >= 0 {
                var one: Int32 = 1
                unsafe setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
                let number = shared.state.withLock { state -> Int? in
                    guard !state.isOver else { return nil }
                    state.connections.insert(socket)
                    state.accepted += 1
                    return state.accepted - 1
                }
                guard let number else {
                    close(socket)
                    break
                }
                Thread.detachNewThread {
                    var connection = Connection(socket: socket, number: number)
                    while connection.serve(
                        record: { request in shared.state.withLock { $0.requests.append(request) } },
                        answer: shared.answer)
                    {}
                    shared.state.withLock { _ = $0.connections.remove(socket) }
                    close(socket)
                }
            }
            close(listener)
        }
    }

    deinit {
        shared.state.withLock { state in
            state.isOver = true
            for socket in state.connections { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// `http://127.0.0.1:PORT`.
    public var base: String { "http://127.0.0.1:\(port)" }

    /// `127.0.0.1:PORT`.
    public var host: String { "127.0.0.1:\(port)" }

    /// Ends all connections, as a server does that is restarted.
    public func disconnect() {
        shared.state.withLock { state in
            for socket in state.connections { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    /// All that have come so far, in the order in which their answers began.
    public var requests: [Request] { shared.state.withLock { $0.requests } }
}

/// One connection of a client.
private struct Connection {
    let socket: Int32
    let number: Int
    private var buffer: [UInt8] = []

    init(socket: Int32, number: Int) {
        self.socket = socket
        self.number = number
    }

    /// Reads a request and answers it. False when the connection is to be closed.
    mutating func serve(
        record: (LoopbackServer.Request) -> Void, answer: (LoopbackServer.Request) -> LoopbackServer.Reply
    ) -> Bool {
        guard var request = readHead() else { return false }
        var reply = answer(request)
        let isChunked = request["Transfer-Encoding"]?.lowercased() == "chunked"
        let length = isChunked ? Int.max : Int(request["Content-Length"] ?? "") ?? 0
        let limit = min(length, reply.reads ?? length)
        let body = isChunked ? readChunks(limit, reply.receive) : readBody(limit, reply.receive)
        request.body = body.bytes
        record(request)
        let isWhole = isChunked ? body.isWhole : body.count == length
        if let then = reply.then {
            guard isWhole else { return false }
            reply = then(request)
        }
        if !reply.isSilent, !send(reply, isHead: request.method == "HEAD") { return false }
        switch reply.ending {
        case .keep: return isWhole
        case .cut: return false
        case .reset:
            var hard = linger(l_onoff: 1, l_linger: 0)
            unsafe setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
            return false
        case .stall:
            // POLLRDHUP, which the overlay hides: the client has gone. Nothing is read, so its buffers fill up.
            var gone = pollfd(fd: socket, events: 0x2000, revents: 0)
            _ = unsafe poll(&gone, 1, -1)
            return false
        }
    }

    private mutating func receive() -> Bool {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe recv(socket, &block, block.count, 0)
        guard count > 0 else { return false }
        buffer += block[..<count]
        return true
    }

    private mutating func readHead() -> LoopbackServer.Request? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = buffer.firstRange(of: end) {
                let lines = String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
                    .components(separatedBy: "\r\n")
                buffer.removeSubrange(..<range.upperBound)
                let words = lines[0].split(separator: " ")
                guard words.count == 3 else { return nil }
                let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
                    guard let colon = line.firstIndex(of: ":") else { return nil }
                    let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                    return (String(line[..<colon]), value)
                }
                return LoopbackServer.Request(
                    method: String(words[0]), target: String(words[1]), headers: headers, connection: number)
            }
            // Somebody who tries TLS first would wait for an answer for ever.
            guard receive(), buffer.first != 0x16 else { return nil }
        }
    }

    /// What came of a body.
    private struct Body {
        /// Empty where somebody else received it.
        var bytes: [UInt8] = []
        var count = 0
        var isWhole = false
    }

    private mutating func readBody(_ limit: Int, _ receive: (([UInt8]) -> Void)?) -> Body {
        var body = Body()
        while body.count < limit {
            if buffer.isEmpty, !self.receive() { break }
            let piece = Array(buffer.prefix(limit - body.count))
            buffer.removeFirst(piece.count)
            body.count += piece.count
            if let receive { receive(piece) } else { body.bytes += piece }
        }
        return body
    }

    private mutating func readChunks(_ limit: Int, _ receive: (([UInt8]) -> Void)?) -> Body {
        var body = Body()
        while body.count < limit {
            guard let line = readLine(), let size = Int(line.prefix { $0 != ";" }, radix: 16) else { return body }
            if size == 0 {
                body.isWhole = readLine() != nil
                return body
            }
            let part = readBody(min(size, limit - body.count), receive)
            body.bytes += part.bytes
            body.count += part.count
            guard part.count == size, readLine() != nil else { return body }
        }
        return body
    }

    private mutating func readLine() -> String? {
        while true {
            if let end = buffer.firstRange(of: [13, 10]) {
                let line = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
                buffer.removeSubrange(..<end.upperBound)
                return line
            }
            guard receive() else { return nil }
        }
    }

    private func send(_ reply: LoopbackServer.Reply, isHead: Bool) -> Bool {
        var head = "HTTP/1.1 \(reply.status) Reason\r\n" + reply.headers.map { "\($0)\r\n" }.joined()
        var body = Array(reply.body.prefix(reply.sends ?? reply.body.count))
        switch reply.framing {
        case .length(let length):
            if reply.status >= 200, reply.status != 204 { head += "Content-Length: \(length ?? reply.body.count)\r\n" }
        case .chunked:
            head += "Transfer-Encoding: chunked\r\n"
            body = Array("\(String(body.count, radix: 16))\r\n".utf8) + body + Array("\r\n".utf8)
            if reply.sends == nil { body += Array("0\r\n\r\n".utf8) }
        case .close: head += "Connection: close\r\n"
        }
        let headBytes = Array((head + "\r\n").utf8)
        if let headSends = reply.headSends { return send(Array(headBytes.prefix(headSends)), piece: Int.max) }
        guard send(headBytes, piece: Int.max) else { return false }
        return isHead || send(body, piece: reply.piece, pause: reply.pauseMilliseconds)
    }

    private func send(_ bytes: [UInt8], piece: Int, pause: Int32 = 0) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            if pause > 0 {
                var gone = pollfd(fd: socket, events: 0x2000, revents: 0)
                if unsafe poll(&gone, 1, pause) > 0 { return false }
            }
            let count = unsafe rest.prefix(piece).withUnsafeBufferPointer {
                unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
