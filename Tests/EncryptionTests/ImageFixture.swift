import Encryption
import Exporters
import Foundation
import KapsuleCore
import KapsuleIO
import OCI
import TestSupport

/// A model in an OCI layout, made by kapsule, for other tools to work on.
struct ImageFixture {
    let directory: TemporaryDirectory
    static let files: [(path: String, bytes: [UInt8])] = {
        var random = SeededGenerator(seed: 4)
        return [
            ("config.json", Array(#"{"architectures":[]}"#.utf8)), ("model.safetensors", random.bytes(300_001)),
            ("sub/tokenizer.json", random.bytes(4096)),
        ]
    }()
    static let modelfile = Array("FROM .\nSYSTEM a secret\n".utf8)

    init() throws { directory = try TemporaryDirectory() }

    func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    static var bundle: ModelBundle {
        get throws {
            ModelBundle(
                identity: "m@1", card: ModelCard(), modelfile: modelfile, origin: Origin(),
                files: try files.map {
                    ModelBundle.File(
                        path: try BundlePath(validating: $0.path), role: .other, source: MemorySource($0.bytes))
                },
                lanes: [ModelBundle.Lane(files: [0, 2]), ModelBundle.Lane(files: [1])])
        }
    }

    func destination(_ name: String) throws -> any ImageDestination {
        try Directories.make(path(name))
        let layout = try ImageLayout.create(path(name))
        return LayoutDestination(
            name: name, layout: layout, pinned: { "\($0)" }, tag: { try $0.setTag("1", $1, replace: $2) })
    }

    /// Builds the model into a layout.
    @discardableResult
    func build(
        _ name: String, for rules: [LayerEncryption.Rule] = [], compression: LayerCompression = .none
    ) throws -> Digest {
        var options = ImageExporter.Options()
        options.compression = compression
        options.encryption = LayerEncryption(rules)
        let bundle = try options.encryption?.separating(Self.bundle) ?? Self.bundle
        let session = try ImageExporter(to: destination(name), options).begin(bundle)
        for lane in bundle.lanes.indices {
            guard let sink = try session.open(lane: lane) else { continue }
            for file in bundle.lanes[lane].files {
                try sink.beginFile(file)
                var anySink: any ByteSink = sink
                let bytes = Self.files[file].bytes
                try anySink.write(bytes.span)
                _ = try sink.endFile(file)
            }
            try sink.finish()
        }
        return try session.commit(bundle.files.map { _ in nil }).identity
    }

    func image(_ name: String) throws -> Image {
        let layout = try ImageLayout.open(path(name))
        return try Image(LayoutOrigin(name: "oci:\(name)", layout: layout, layout.only(nil)))
    }

    /// What an unpacking with these keys gives.
    func unpack(
        _ name: String, with keyring: Keyring, into directory: String? = nil
    ) async throws -> [String: [UInt8]] {
        let target = path(directory ?? "unpacked-\(UUID().uuidString)")
        let unpacker = ImageUnpacker(
            concurrency: 2, include: PathFilter(), exclude: PathFilter(), replaces: false, keyring: keyring,
            progress: SilentProgress())
        try await unpacker.unpack(image(name), into: target)
        return Self.listing(target)
    }

    static func listing(_ directory: String) -> [String: [UInt8]] {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []
        return names.reduce(into: [:]) { all, name in
            // What cannot be read is a directory.
            all[name] = (try? Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))).map(Array.init)
        }
    }

    static var expected: [String: [UInt8]] {
        var all = Dictionary(uniqueKeysWithValues: files.map { ($0.path, $0.bytes) })
        all["Modelfile"] = modelfile
        return all
    }
}
