internal import Foundation

/// The built `kapsule`, with a home, a store, a cache, an auth file and a temporary directory of one test's own.
public final class Sandbox {
    public let directory: TemporaryDirectory
    /// Variables of every run; a test adds its own.
    public var environment: [String: String]

    public var path: String { directory.path }
    public var store: String { "\(path)/store" }
    public var temporary: String { "\(path)/tmp" }
    public var authFile: String { "\(path)/docker/config.json" }

    public init() throws {
        directory = try TemporaryDirectory()
        let path = directory.path
        environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": "\(path)/home",
            "KAPSULE_HOME": "\(path)/store", "XDG_CACHE_HOME": "\(path)/cache", "DOCKER_CONFIG": "\(path)/docker",
            "XDG_RUNTIME_DIR": "\(path)/run", "TMPDIR": "\(path)/tmp", "KAPSULE_RETRY_DELAY_MS": "1", "LC_ALL": "C",
        ]
        for name in ["home", "docker", "tmp", "run", "desk"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        }
    }

    /// Where `kapsule` was built: beside the bundle of the tests.
    public static var program: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("kapsule")
            .path
    }

    /// Starts `kapsule`, in the sandbox's folder `desk` unless told otherwise.
    public func start(
        _ arguments: [String], input: String = "", _ variables: [String: String] = [:], in folder: String? = nil
    ) throws -> Child {
        try Child(
            Self.program, arguments, environment: environment.merging(variables) { $1 }, in: folder ?? "\(path)/desk",
            input: Array(input.utf8))
    }

    /// Runs `kapsule` to its end, whatever that is.
    public func kapsule(
        _ arguments: String..., input: String = "", with variables: [String: String] = [:], in folder: String? = nil
    ) throws -> Child.Outcome {
        try start(arguments, input: input, variables, in: folder).wait()
    }

    /// Runs `kapsule`, which must succeed; gives stdout without its last line end.
    @discardableResult
    public func done(
        _ arguments: String..., input: String = "", with variables: [String: String] = [:], in folder: String? = nil
    ) throws -> String {
        let outcome = try start(arguments, input: input, variables, in: folder).wait()
        guard outcome.status == 0 else {
            throw Tool.Failed(
                description: "kapsule \(arguments) ended with \(outcome.status):\n\(outcome.errors)\(outcome.output)")
        }
        return outcome.output.hasSuffix("\n") ? String(outcome.output.dropLast()) : outcome.output
    }

    /// Runs another program with the sandbox's variables; it must succeed.
    @discardableResult
    public func tool(_ name: String, _ arguments: [String], in folder: String? = nil) throws -> String {
        guard let tool = try Tool.find(name) else { throw Tool.Missing(description: "\(name) is not installed") }
        let outcome = try Child(tool.path, arguments, environment: environment, in: folder ?? "\(path)/desk").wait()
        guard outcome.status == 0 else {
            throw Tool.Failed(
                description: "\(name) \(arguments) ended with \(outcome.status):\n\(outcome.errors)\(outcome.output)")
        }
        return outcome.output
    }

    /// Files that a killed or failed kapsule must not have left, below the sandbox.
    public var debris: [String] {
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return paths.filter { file in
            let name = file.split(separator: "/").last ?? ""
            let isLock = name == ".kapsule.lock" || name == ".kapsule.lock.use"
            return file.hasPrefix("tmp/") || file.contains("/.kapsule-") || name.hasPrefix(".kapsule-")
                || name.hasPrefix(".kapsule.") && !isLock
        }
    }
}

extension Sandbox {
    /// A directory below the sandbox's folder `desk`, with a Modelfile where one is given.
    public func context(
        _ name: String, modelfile: String? = nil,
        _ fill: (String) throws -> Void = { try SampleModel.writeTiny(to: $0) }
    ) throws -> String {
        let path = "\(self.path)/desk/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try fill(path)
        if let modelfile { try directory.write("desk/\(name)/Modelfile", modelfile) }
        return path
    }

    /// Text for comparison: the sandbox's own path as `$DIR`.
    public func shown(_ text: String) -> String { text.replacingOccurrences(of: path, with: "$DIR") }
}
