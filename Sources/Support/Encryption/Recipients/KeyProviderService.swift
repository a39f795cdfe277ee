internal import HTTP
internal import KapsuleCore

/// A key provider that is a gRPC service: two unary calls, whose messages are one field of bytes each.
///
/// Source: ocicrypt, `utils/keyprovider/keyprovider.proto`; gRPC, "gRPC over HTTP2".
struct KeyProviderService: Sendable {
    enum Call: String {
        case wrap = "WrapKey"
        case unwrap = "UnWrapKey"
    }

    /// Longest answer, in bytes.
    private static let answerLimit = 1 << 20
    /// How long a service may be silent: somebody may have to touch a token.
    private static let patience = Duration.seconds(120)

    /// As the configuration has it.
    let target: String
    private let transport: HTTPTransport
    private let base: WebAddress

    /// - Parameters:
    ///   - target: `HOST:PORT`.
    ///   - tls: the member `grpc-tls`; nil for a connection in the clear, which only leads to this machine.
    /// - Throws: `.usage` for what cannot be reached, or not safely.
    init(_ target: String, tls: LooseJSON?) throws {
        self.target = target
        let place = target.hasPrefix("dns:///") ? String(target.dropFirst(7)) : target
        let scheme = tls == nil ? "http" : "https"
        guard !place.contains("/"), let base = WebAddress(parsing: "\(scheme)://\(place)/") else {
            throw Self.failure("'\(target)' is no HOST:PORT", remedy: "write \"grpc\": \"127.0.0.1:50051\"")
        }
        guard tls != nil || base.isLoopback else {
            throw Self.failure(
                "'\(target)' is another machine, and layer keys would go there in the clear",
                remedy: "configure \"grpc-tls\", or reach the service over a tunnel that ends on 127.0.0.1")
        }
        self.base = base
        var settings = TransportSettings()
        settings.stallTimeout = Self.patience
        if let tls { settings.tls = try Self.settings(tls, host: base.host) }
        transport = HTTPTransport(settings)
    }

    private static func settings(_ tls: LooseJSON, host: String) throws -> TLSSettings {
        var settings = TLSSettings()
        func text(_ name: String) -> String? { tls[name]?.text.flatMap { $0.isEmpty ? nil : $0 } }
        settings.caFile = text("root-ca-file")
        settings.clientCertificate = text("cert-file")
        settings.clientKey = text("key-file")
        if let name = text("server-name"), name != host {
            throw failure(
                "its certificate is for '\(name)', and it is reached as '\(host)'",
                remedy: "reach it under the name '\(name)'")
        }
        return settings
    }

    private static func failure(_ message: String, remedy: String) -> KapsuleError {
        KapsuleError(.usage, id: "key.provider", "the key provider's service: \(message)", remedy: remedy)
    }

    /// - Throws: `ServiceFailure`, and `.unavailable` when there is no answer.
    func call(_ call: Call, _ document: [UInt8]) throws -> [UInt8] {
        var request = HTTPRequest(
            .post, base.replacingTarget("/keyprovider.KeyProviderService/\(call.rawValue)"),
            headers: ["Content-Type": "application/grpc", "TE": "trailers"], body: .bytes(Message.framed(document)))
        request.needsHTTP2 = true
        request.redirects = .refuse
        let response = try transport.send(request, limit: Self.answerLimit)
        let status = response.trailers["grpc-status"] ?? response.headers["grpc-status"]
        guard response.status == 200, status == "0" else {
            let text = response.trailers["grpc-message"] ?? response.headers["grpc-message"] ?? ""
            throw ServiceFailure(
                reason: status.map { "answers with gRPC status \($0): \(Excerpt.of(text, limit: 200))" }
                    ?? "answers with status \(response.status)")
        }
        guard let answer = Message.document(in: response.body) else {
            throw ServiceFailure(reason: "answers with what is no message")
        }
        return answer
    }

    struct ServiceFailure: Error { let reason: String }
}

/// Field 1 of a message, as bytes, in a gRPC frame.
private enum Message {
    private static let bytesField: UInt8 = 1 << 3 | 2

    static func framed(_ document: [UInt8]) -> [UInt8] {
        var message = [bytesField]
        var length = document.count
        while length >= 0x80 {
            message.append(UInt8(length & 0x7F) | 0x80)
            length >>= 7
        }
        message.append(UInt8(length))
        message += document
        let size = UInt32(message.count)
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } + message
    }

    /// Nil for what is compressed, cut, or has no such field. An empty message is an empty document.
    static func document(in frame: [UInt8]) -> [UInt8]? {
        guard frame.count >= 5, frame[0] == 0 else { return nil }
        let size = frame[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard frame.count == 5 + size else { return nil }
        guard size > 0 else { return [] }
        var rest = frame[6...]
        guard frame[5] == bytesField, let length = varint(&rest), length == rest.count else { return nil }
        return Array(rest)
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> Int? {
        var value = 0
        for shift in stride(from: 0, through: 28, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
