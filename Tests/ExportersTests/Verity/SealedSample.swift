import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

/// A small image or encrypted disk on disk, as the exporters make it, and what it was made from.
struct SealedSample {
    static let identity = "org/model@0123456789abcdef0123456789abcdef01234567"
    static let masterKey = (0..<64).map { UInt8($0) }

    let directory: TemporaryDirectory
    let path: String
    let reference: RootReference
    let contents: [String: [UInt8]]

    /// Tails beside inodes, whole blocks, an executable, and enough of them for a tree of two levels.
    static func contents(seed: UInt64 = 7) -> [String: [UInt8]] {
        var random = SeededGenerator(seed: seed)
        return [
            "config.json": random.bytes(300), "empty": [], "run.sh": Array("#!/bin/sh\n".utf8),
            "tokenizer/vocab.txt": random.bytes(9000), "tokenizer/merges": random.bytes(4065),
            "weights/model.bin": random.bytes(131 * 4096 + 5), "weights/zeros": [UInt8](repeating: 0, count: 8192),
        ]
    }

    static func bundle(_ contents: [String: [UInt8]]) throws -> ModelBundle {
        let files = try contents.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { path in
            ModelBundle.File(
                path: try BundlePath(validating: path), role: .other, isExecutable: path == "run.sh",
                source: MemorySource(contents[path]!))
        }
        return ModelBundle(
            identity: identity, card: ModelCard(), modelfile: [], origin: Origin(), files: files,
            lanes: [.init(files: Array(files.indices))])
    }

    init(
        _ profile: EROFS.Profile = .modelwrap2, isEncrypted: Bool = false, contents: [String: [UInt8]] = contents()
    ) throws {
        directory = try TemporaryDirectory()
        self.contents = contents
        let bundle = try Self.bundle(contents)
        let receipt: ExportReceipt
        if isEncrypted {
            var options = EMWPExporter.Options()
            options.profile = profile
            receipt = try VerityExporterTests.run(
                EMWPExporter(to: directory.path, masterKey: Self.masterKey, options), bundle)
        } else {
            var options = VerityExporter.Options()
            options.profile = profile
            receipt = try VerityExporterTests.run(VerityExporter(to: directory.path, options), bundle)
        }
        path = receipt.outputs[0].name
        reference = try RootReference(parsing: receipt.reference)
    }

    /// What somebody says who knows all of it.
    var claim: ImageClaim {
        ImageClaim(
            reference: reference, modelID: path.contains("org-model") ? nil : Self.identity, masterKey: Self.masterKey)
    }

    func verify(_ claim: ImageClaim? = nil) async throws {
        try await SealedImage(SealedFile(opening: path), claim ?? self.claim).verify(workers: 2)
    }

    /// The error of `verify`; nil when it finds nothing.
    func refusal(_ claim: ImageClaim? = nil) async throws -> KapsuleError? {
        do {
            try await verify(claim)
            return nil
        } catch let error as KapsuleError {
            return error
        }
    }

    var size: Int {
        get throws { try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0 }
    }

    /// Flips a bit of the file; the same again undoes it.
    func flip(_ offset: Int64) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset))
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: [byte ^ 0x20])
    }

    func extract(
        _ claim: ImageClaim? = nil, to target: String, _ options: UnpackOptions = UnpackOptions()
    ) async throws -> UnpackReport {
        let image = try ReadableImage(SealedImage(SealedFile(opening: path), claim ?? self.claim))
        return try await ImageExtractor(image, options, progress: SilentProgress()).extract(into: target)
    }
}

/// Paths and contents of the files below a directory.
func filesBelow(_ directory: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: directory) {
        let whole = "\(directory)/\(path)"
        let attributes = try FileManager.default.attributesOfItem(atPath: whole)
        guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
        found[path] = Array(try Data(contentsOf: URL(fileURLWithPath: whole)))
    }
    return found
}
