internal import Foundation
internal import Glibc
internal import Synchronization

/// Stands between a client and a server on this machine, and counts the bytes that pass; cuts the wire when told.
///
/// It copies bytes and knows nothing of HTTP.
public final class Relay: Sendable {
    public enum Direction: Sendable { case up, down }

    private struct State {
        var up: Int64 = 0
        var down: Int64 = 0
        var isDown = false
        var sockets: Set<Int32> = []
        var isOver = false
        var watch: Watch?
        var isHeld = false
    }

    private struct Watch {
        let direction: Direction
        let bytes: Int64
        /// Whether nothing more passes in that direction of that connection, until `forget`.
        let holds: Bool
        let act: @Sendable () -> Void
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
        let target: Int
        init(target: Int) { self.target = target }

        /// - Returns: whether what came is to be held.
        func count(_ bytes: Int, _ direction: Direction) -> Bool {
            let watch = state.withLock { state -> Watch? in
                if direction == .up { state.up += Int64(bytes) } else { state.down += Int64(bytes) }
                guard let watch = state.watch, watch.direction == direction,
                    (direction == .up ? state.up : state.down) >= watch.bytes
                else { return nil }
                state.watch = nil
                state.isHeld = watch.holds
                return watch
            }
            watch?.act()
            return watch?.holds == true
        }
    }

    private let shared: Shared
    private let listener: Int32
    public let port: Int
    public var host: String { "127.0.0.1:\(port)" }

    /// - Parameter target: the server's port.
    public init(to target: Int) throws {
        let shared = Shared(target: target)
        self.shared = shared
        (listener, port) = try LoopbackSocket.listen()
        let listener = listener
        Thread.detachNewThread {
            while case let socket = accept(listener, nil, nil), socket >= 0 { Self.serve(socket, shared) }
            close(listener)
        }
    }

    deinit {
        shared.state.withLock { state in
            (state.isOver, state.isHeld) = (true, false)
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// Bytes that went to the server.
    public var up: Int64 { shared.state.withLock(\.up) }
    /// Bytes that came from the server.
    public var down: Int64 { shared.state.withLock(\.down) }

    /// Forgets what it has counted.
    public func reset() { shared.state.withLock { ($0.up, $0.down) = (0, 0) } }

    /// Calls `act` once, when so many bytes have passed since the last reset.
    public func after(_ bytes: Int64, _ direction: Direction, _ act: @escaping @Sendable () -> Void) {
        shared.state.withLock { $0.watch = Watch(direction: direction, bytes: bytes, holds: false, act: act) }
    }

    /// The same, and lets nothing more pass there until `forget`; on other connections it does.
    public func hold(after bytes: Int64, _ direction: Direction, _ act: @escaping @Sendable () -> Void) {
        shared.state.withLock { $0.watch = Watch(direction: direction, bytes: bytes, holds: true, act: act) }
    }

    /// Watches for nothing any more, and holds nothing.
    public func forget() {
        shared.state.withLock { ($0.watch, $0.isHeld) = (nil, false) }
    }

    /// Ends all connections, and refuses new ones until `mend`.
    public func cut() {
        shared.state.withLock { state in
            state.isDown = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    public func mend() { shared.state.withLock { $0.isDown = false } }

    private static func serve(_ client: Int32, _ shared: Shared) {
        guard shared.state.withLock({ !$0.isDown && !$0.isOver }),
            let server = LoopbackSocket.connect(to: shared.target)
        else {
            close(client)
            return
        }
        shared.state.withLock { $0.sockets.formUnion([client, server]) }
        let ends = Countdown(2)
        for (from, to, direction) in [(client, server, Direction.up), (server, client, .down)] {
            Thread.detachNewThread {
                copy(from, to, direction, shared)
                shutdown(from, Int32(SHUT_RDWR))
                shutdown(to, Int32(SHUT_RDWR))
                guard ends.isLast() else { return }
                shared.state.withLock { $0.sockets.subtract([client, server]) }
                close(client)
                close(server)
            }
        }
    }

    /// False when the sender has gone meanwhile.
    private static func waitWhileHeld(_ from: Int32, _ shared: Shared) -> Bool {
        while shared.state.withLock(\.isHeld) {
            // POLLRDHUP, which the overlay hides.
            var gone = pollfd(fd: from, events: 0x2000, revents: 0)
            if unsafe poll(&gone, 1, 20) > 0 { return false }
        }
        return true
    }

    private static func copy(_ from: Int32, _ to: Int32, _ direction: Direction, _ shared: Shared) {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = unsafe recv(from, &block, block.count, 0), count > 0 {
            if shared.count(count, direction), !waitWhileHeld(from, shared) { return }
            var sent = 0
            while sent < count {
                let more = unsafe block.withUnsafeBytes {
                    unsafe send(to, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
                }
                guard more > 0 else { return }
                sent += more
            }
        }
    }
}

/// Tells the last of several that end.
private final class Countdown: Sendable {
    private let left: Mutex<Int>
    init(_ ends: Int) { left = Mutex(ends) }
    func isLast() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }
}

/// TCP on the loopback address.
enum LoopbackSocket {
    /// A listening socket and its port.
    static func listen() throws -> (Int32, Int) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, length) == 0 && Glibc.listen(listener, 128) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard result else { throw TestProgram.Missing(description: "no port to listen on") }
        return (listener, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Nil where nobody listens.
    static func connect(to port: Int) -> Int32? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = address(port: port)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(socket, $0, length)
            }
        }
        guard result == 0 else {
            close(socket)
            return nil
        }
        return socket
    }

    private static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
