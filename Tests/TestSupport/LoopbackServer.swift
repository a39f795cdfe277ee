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
            /// Not another byte, until the client goes.
            case stall
        }

        public var status: Int
        public var headers: [String]
        public var body: [UInt8]
        public var framing = Framing.length()
        /// Bytes of the body that are sent; nil for all.
        public var sends: Int?
        /// Bytes that one `send` takes at most.
        public var piece = Int.max
        public var ending = Ending.keep
        /// Bytes of the request's body that are read before answering; nil for all.
        public var reads: Int?
        /// Not even a head is sent: only `ending` happens.
        public var isSilent = false

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
        let reply = answer(request)
        let length = Int(request["Content-Length"] ?? "") ?? 0
        request.body = readBody(min(length, reply.reads ?? length))
        record(request)
        if !reply.isSilent, !send(reply, isHead: request.method == "HEAD") { return false }
        switch reply.ending {
        case .keep: return reply.reads.map { $0 >= length } ?? true
        case .cut: return false
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
            guard receive() else { return nil }
        }
    }

    private mutating func readBody(_ count: Int) -> [UInt8] {
        while buffer.count < count, receive() {}
        let taken = min(count, buffer.count)
        defer { buffer.removeFirst(taken) }
        return Array(buffer[..<taken])
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
        guard send(Array((head + "\r\n").utf8), piece: Int.max) else { return false }
        return isHead || send(body, piece: reply.piece)
    }

    private func send(_ bytes: [UInt8], piece: Int) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.prefix(piece).withUnsafeBufferPointer {
                unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
