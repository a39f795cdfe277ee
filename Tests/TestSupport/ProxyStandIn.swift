/// An HTTP proxy on a free port of this machine. Whatever host it is asked for, one server answers. Ends with the value.
public final class ProxyStandIn: Sendable {
    private let process: BackgroundProcess
    private let port: String

    /// For `HTTPS_PROXY`.
    public var address: String { "http://127.0.0.1:\(port)" }
    /// The same, with a user.
    public func address(_ user: String) -> String { "http://\(user)@127.0.0.1:\(port)" }

    /// - Parameters:
    ///   - target: the server's port.
    ///   - options: `--user USER:PASSWORD` it wants to see, `--refuse STATUS` for all.
    public init(to target: Int, _ options: [String] = []) throws {
        process = try BackgroundProcess(
            .python, ["\(TestProgram.directory)/http_proxy.py", "\(target)"] + options)
        port = try process.wait(for: "listening ([0-9]+)")
    }

    /// What it was asked for, in order: `CONNECT registry.test:443`. For what has ended: it speaks before it answers, and
    /// what it says may still be on its way.
    public func requests(atLeast count: Int) throws -> [String] {
        _ = try process.wait(for: "((?:[^\n]*\n){\(count + 1)})")
        return requests
    }

    /// The same, as far as it is known.
    public var requests: [String] { process.output.split(separator: "\n").dropFirst().map(String.init) }
}

/// An HTTPS server that says which client certificate it was shown. Ends with the value.
public final class CertificateWitness: Sendable {
    private let process: BackgroundProcess
    public let port: Int

    /// - Parameter redirect: where it sends everyone.
    public init(_ certificates: TestCertificates, redirect: String? = nil) throws {
        process = try BackgroundProcess(
            .python,
            [
                "\(TestProgram.directory)/tls_server.py", certificates.certificate, certificates.key,
                certificates.authority,
            ] + (redirect.map { ["--redirect", $0] } ?? []))
        port = Int(try process.wait(for: "listening ([0-9]+)")) ?? 0
    }

    /// What it was asked for, in order: `GET /x client=NAME`. Waits until so many are known.
    public func requests(atLeast count: Int) throws -> [String] {
        _ = try process.wait(for: "((?:[^\n]*\n){\(count + 1)})")
        return process.output.split(separator: "\n").dropFirst().map(String.init)
    }
}
