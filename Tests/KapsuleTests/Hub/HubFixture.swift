import Foundation
import TestSupport

/// A hub with repositories of a test's own, and a sandbox that asks it.
final class HubFixture {
    let root: TemporaryDirectory
    let hub: HubStandIn
    let sandbox: Sandbox

    static let isUsable = HubStandIn.isUsable && TestProgram.curl.isUsable
    /// Whether the hub's own client is there, too.
    static let hasClient = isUsable && TestProgram.pythonHub.isUsable

    /// - Parameters:
    ///   - options: of the stand-in.
    ///   - fill: gets the directory of repositories.
    init(_ options: [String] = [], _ fill: (TemporaryDirectory) throws -> Void = HubFixture.few) throws {
        root = try TemporaryDirectory()
        try fill(root)
        hub = try HubStandIn(root.path, options)
        sandbox = try Sandbox()
        sandbox.environment["HF_ENDPOINT"] = hub.endpoint
    }

    /// `acme/m`: a large file, and some that are in git.
    static func few(_ root: TemporaryDirectory) throws {
        let path = "\(root.path)/acme/m"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try SampleModel.writeFew(to: path)
        // The hub does not say which files may be executed.
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(path)/run.sh")
        try root.write("acme/m/LICENSE", "licence\n")
        try root.write("acme/m/chat_template.jinja", "{{ messages }}")
        try root.write("acme/m/.gitattributes", "*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    }

    /// `acme/m` with nothing large.
    static func tiny(_ root: TemporaryDirectory) throws {
        try root.write("acme/m/config.json", #"{"a":1}"#)
        try root.write("acme/m/model.safetensors", SampleModel.safetensors(200_000, seed: 3))
        try root.write("acme/m/tokenizer.json", SeededBytes.of(5000, seed: 4))
    }

    /// Builds into a layout; what comes out is verified against the files of the repository.
    func build(
        _ source: String = "hf://acme/m", _ flags: [String] = [], into name: String = UUID().uuidString
    ) throws -> Child.Outcome {
        try sandbox.start(["build", "-q", "-o", name] + flags + [source]).wait()
    }

    /// Digests of the layers of a layout's only image, the Modelfile's not among them.
    func layers(_ layout: String) throws -> [String] {
        let directory = "\(sandbox.path)/desk/\(layout)"
        let index = try Self.json("\(directory)/index.json")
        let manifest = ((index["manifests"] as? [[String: Any]])?.first?["digest"] as? String ?? "").dropFirst(7)
        let layers = try Self.json("\(directory)/blobs/sha256/\(manifest)")["layers"] as? [[String: Any]] ?? []
        return layers.dropLast().compactMap { $0["digest"] as? String }
    }

    func manifest(_ layout: String) throws -> [String: Any] {
        let directory = "\(sandbox.path)/desk/\(layout)"
        let index = try Self.json("\(directory)/index.json")
        let manifest = ((index["manifests"] as? [[String: Any]])?.first?["digest"] as? String ?? "").dropFirst(7)
        return try Self.json("\(directory)/blobs/sha256/\(manifest)")
    }

    /// Layers of what a directory with the repository's files gives.
    func layersOfDirectory(_ repository: String = "acme/m", _ flags: [String] = []) throws -> [String] {
        let layout = UUID().uuidString
        let modelfile = try sandbox.directory.write("desk/Modelfile.plain", "FROM .\n")
        try sandbox.done(
            "build", "-q", "-o", layout, "-f", modelfile, "\(root.path)/\(repository)", with: ["HF_ENDPOINT": ""])
        return try layers(layout)
    }

    /// Whether a layout of that name has an image.
    func isPublished(_ layout: String) -> Bool {
        let index = try? Self.json("\(sandbox.path)/desk/\(layout)/index.json")
        return (index?["manifests"] as? [Any])?.isEmpty == false
    }

    static func json(_ path: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }
}

enum SeededBytes {
    static func of(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return random.bytes(count)
    }
}
