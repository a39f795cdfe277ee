import Foundation
import Synchronization

/// A program that some tests need and kapsule does not.
///
/// A test that needs one says `.enabled(if: TestProgram.registry.isUsable, "…")`: without the program it is skipped, loudly. With
/// `KAPSULE_REQUIRE_TOOLS=1` it runs and fails instead.
public struct TestProgram: Sendable {
    public let name: String
    /// What to do to have it.
    public let hint: String
    /// Arguments with which it must succeed to be of use; nil when being there is enough.
    let probe: [String]?
    /// Whether it is looked for in the tests' own Python environment first: `KAPSULE_TOOLS/venv`.
    var isPython = false

    public static let registry = TestProgram(
        name: "docker-registry", hint: "apt-get install docker-registry", probe: nil)
    public static let htpasswd = TestProgram(name: "htpasswd", hint: "apt-get install apache2-utils", probe: nil)
    public static let openssl = TestProgram(name: "openssl", hint: "apt-get install openssl", probe: nil)
    public static let skopeo = TestProgram(name: "skopeo", hint: "apt-get install skopeo", probe: nil)
    public static let umoci = TestProgram(name: "umoci", hint: "apt-get install umoci", probe: nil)
    public static let podman = TestProgram(name: "podman", hint: "apt-get install podman", probe: nil)
    public static let curl = TestProgram(name: "curl", hint: "apt-get install curl", probe: nil)
    public static let strace = TestProgram(name: "strace", hint: "apt-get install strace", probe: ["true"])
    /// git with its large files.
    public static let gitLFS = TestProgram(
        name: "git", hint: "apt-get install git git-lfs", probe: ["lfs", "version"])
    public static let python = TestProgram(name: "python3", hint: "apt-get install python3", probe: nil)
    /// Python with the real client of Vault.
    public static let pythonVault = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import hvac, cryptography"], isPython: true)
    /// Python with a real gRPC server.
    public static let pythonGRPC = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import grpc"], isPython: true)
    /// Python with the packages that write model files.
    public static let pythonFormats = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import gguf, safetensors, numpy"], isPython: true)
    /// Python with the engine of chat templates.
    public static let pythonJinja = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import jinja2"], isPython: true)
    /// Python with the hub's own client.
    public static let pythonHub = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import huggingface_hub"], isPython: true)
    /// Python with the hub's own client, and with transformers, which reads its cache.
    public static let pythonTransformers = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import huggingface_hub, transformers"], isPython: true)
    /// Python with clients that read artifacts.
    public static let pythonArtifacts = TestProgram(
        name: "python3", hint: "make setup-test, and set KAPSULE_TOOLS to its directory",
        probe: ["-c", "import oras, olot"], isPython: true)
    public static let pythonCryptography = TestProgram(
        name: "python3", hint: "apt-get install python3 python3-cryptography", probe: ["-c", "import cryptography"])

    private static let answers = Mutex<[String: Bool]>([:])

    public var isUsable: Bool {
        if ProcessInfo.processInfo.environment["KAPSULE_REQUIRE_TOOLS"] == "1" { return true }
        let key = "\(name) \(probe ?? [])"
        return Self.answers.withLock { answers in
            if let known = answers[key] { return known }
            let isThere = look()
            if !isThere { Self.shout("tests that need \(key) are SKIPPED: \(hint)") }
            answers[key] = isThere
            return isThere
        }
    }

    private func look() -> Bool {
        guard path != nil else { return false }
        guard let probe else { return true }
        return (try? run(probe).status) == 0
    }

    private static func shout(_ text: String) { FileHandle.standardError.write(Data("*** \(text) ***\n".utf8)) }

    /// Where it is in `PATH`.
    public var path: String? {
        if self.name == Self.registry.name, let other = ProcessInfo.processInfo.environment["KAPSULE_REGISTRY"] {
            return other
        }
        if isPython, let tools = ProcessInfo.processInfo.environment["KAPSULE_TOOLS"] {
            let own = "\(tools)/venv/bin/\(name)"
            if FileManager.default.isExecutableFile(atPath: own) { return own }
        }
        return (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
            .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    public struct Missing: Error, CustomStringConvertible {
        public let description: String
    }

    func found() throws -> String {
        guard let path else { throw Missing(description: "\(name) is not in PATH: \(hint)") }
        return path
    }

    public struct Result: Sendable {
        public let status: Int32
        public let output: String
        public let errors: String
    }

    /// Runs it to its end.
    @discardableResult
    public func run(_ arguments: [String], in directory: String? = nil) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try found())
        process.arguments = arguments
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        let files = try TemporaryDirectory()
        let (output, errors) = (files.url.appendingPathComponent("out"), files.url.appendingPathComponent("err"))
        for file in [output, errors] { try Data().write(to: file) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
    }

    /// The same; anything but success is an error with what it said.
    @discardableResult
    public func check(_ arguments: [String], in directory: String? = nil) throws -> String {
        let result = try run(arguments, in: directory)
        guard result.status == 0 else {
            throw Missing(description: "\(name) \(arguments) failed (\(result.status)): \(result.errors)")
        }
        return result.output
    }

    /// Where the tests' own tools are.
    public static var directory: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Tools").path
    }
}
