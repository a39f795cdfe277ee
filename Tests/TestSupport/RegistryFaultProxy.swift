internal import Foundation

/// Stands before a registry and breaks requests as rules say. See Tests/Tools/registry_fault_proxy.py.
public final class RegistryFaultProxy {
    private let process: BackgroundProcess
    private let files: TemporaryDirectory
    public let port: Int
    public var host: String { "127.0.0.1:\(port)" }

    /// - Parameter registry: its port.
    public init(to registry: Int) throws {
        files = try TemporaryDirectory()
        process = try BackgroundProcess(
            .python,
            [
                "\(TestProgram.directory)/registry_fault_proxy.py", "--listen", "0", "--upstream",
                "127.0.0.1:\(registry)",
            ])
        port = Int(try process.wait(for: "proxy: 127.0.0.1:([0-9]+)")) ?? 0
    }

    /// Replaces the rules.
    public func setFaults(_ rules: [[String: Any]]) throws {
        let body = try files.write("rules", Array(try JSONSerialization.data(withJSONObject: rules)))
        try TestProgram.curl.check(
            ["-sS", "--fail", "-X", "PUT", "http://\(host)/__faults__", "--data-binary", "@\(body)"])
    }
}
