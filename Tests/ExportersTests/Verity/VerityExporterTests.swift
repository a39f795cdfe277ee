import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import TestSupport
import Testing

@Suite struct VerityExporterTests {
    static let identity = "org/model@0123456789abcdef0123456789abcdef01234567"
    static let masterKey = (0..<64).map { UInt8($0) }

    /// Files of many sizes, one above the pieces that are passed on; in one lane, and one of its own for the large one.
    static func bundle(
        identity: String = identity, origin: Origin = Origin(), seed: UInt64 = 1
    ) throws -> (bundle: ModelBundle, contents: [String: [UInt8]]) {
        var random = SeededGenerator(seed: seed)
        var contents: [String: [UInt8]] = ["large.bin": random.bytes((3 << 20) + 17)]
        for (index, size) in [0, 1, 100, 4064, 4065, 4096, 5000, 70_000, 1 << 20].enumerated() {
            contents["dir\(index % 3)/file\(index)"] = random.bytes(size)
        }
        contents["run.sh"] = Array("#!/bin/sh\n".utf8)
        let files = try contents.keys.sorted().map { path in
            ModelBundle.File(
                path: try BundlePath(validating: path), role: .other, isExecutable: path == "run.sh",
                source: MemorySource(contents[path]!))
        }
        let large = files.firstIndex { $0.path.text == "large.bin" }!
        let bundle = ModelBundle(
            identity: identity, card: ModelCard(), modelfile: [], origin: origin, files: files,
            lanes: [.init(files: files.indices.filter { $0 != large }), .init(files: [large])])
        return (bundle, contents)
    }

    /// Moves all lanes, the last one first, then commits.
    static func run(_ exporter: some Exporter, _ bundle: ModelBundle) throws -> ExportReceipt {
        let session = try exporter.begin(bundle)
        for lane in bundle.lanes.indices.reversed() { try move(lane, of: bundle, to: session) }
        return try session.commit(bundle.files.map { _ in nil })
    }

    static func move(_ lane: Int, of bundle: ModelBundle, to session: any ExportSession) throws {
        var sink = try #require(try session.open(lane: lane))
        for file in bundle.lanes[lane].files {
            let source = bundle.files[file].source
            try sink.beginFile(file)
            for start in stride(from: Int64(0), to: source.size, by: 100_000) {
                try read(source, start..<min(source.size, start + 100_000), into: &sink)
            }
            #expect(try sink.endFile(file) == nil)
        }
        try sink.finish()
    }

    private static func read(
        _ source: some ByteSource, _ range: Range<Int64>, into sink: inout any LaneSink
    ) throws {
        var memory = MemorySink()
        try source.read(range, into: &memory)
        try sink.write(memory.bytes.span)
    }

    private func names(_ directory: TemporaryDirectory) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory.path).sorted()
    }

    @Test func anImageHasTheNamesAndBytesOfTheReferenceTools() throws {
        let (bundle, contents) = try Self.bundle()
        let directory = try TemporaryDirectory()
        var options = VerityExporter.Options()
        options.profile = .modelwrap1
        let receipt = try Self.run(VerityExporter(to: directory.path, options), bundle)
        let base = "org/model/0123456789abcdef0123456789abcdef01234567"
        #expect(
            try names(directory) == [
                "org", "org/model", "\(base).info", "\(base).lock", "\(base).mpk", "\(base).schema",
            ])
        #expect(try directory.read("\(base).schema") == Array("1".utf8))
        #expect(try directory.read("\(base).info") == Array(receipt.reference.utf8))

        guard let mkfs = try Tool.find("mkfs.erofs"), let veritysetup = try Tool.find("veritysetup") else { return }
        let source = try TemporaryDirectory()
        for (path, bytes) in contents {
            let file = try source.write("tree/\(path)", bytes)
            let mode = path == "run.sh" ? 0o755 : 0o644
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        }
        for path in ["tree"] + (0..<3).map({ "tree/dir\($0)" }) {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(source.path)/\(path)")
        }
        let uuid = UUIDBytes(name: "\(Self.identity)-inner")
        let image = "\(source.path)/image"
        try mkfs.run(["--all-root", "-T0", "-U\(uuid)", image, "\(source.path)/tree"])
        let size = try source.read("image").count
        let made = try veritysetup.run([
            "format", image, image, "--hash-offset=\(size)", "--salt=\(Digest.of(Self.identity).hex)", "--uuid=\(uuid)",
        ])
        #expect(try directory.read("\(base).mpk") == source.read("image"))
        #expect(String(decoding: made, as: UTF8.self).contains(receipt.identity.hex))
        #expect(receipt.reference == "\(receipt.identity.hex)_\(size)_\(uuid)")
        let path = "\(directory.path)/\(base).mpk"
        try veritysetup.run(["verify", path, path, receipt.identity.hex, "--hash-offset=\(size)"])
    }

    @Test func aPrivatemodeImageIsNamedByItsRootHash() throws {
        let origin = Origin(url: "https://hf.example/Org/My_Model--v1.git", revision: "abc")
        let (bundle, _) = try Self.bundle(origin: origin)
        let directory = try TemporaryDirectory()
        var options = VerityExporter.Options()
        options.profile = .privatemode
        options.excludedFiles = "*.bin,x"
        let receipt = try Self.run(VerityExporter(to: directory.path, options), bundle)
        let path = "org-my-model-v1/\(receipt.identity.hex)"
        let image = try directory.read(path)
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(directory.read("\(path).json"))) as? [String: String])
        #expect(json.count == 8)
        #expect(json["model_source"] == origin.url)
        #expect(json["commit_hash"] == "abc")
        #expect(json["excluded_files"] == "*.bin,x")
        #expect(json["root_hash"] == receipt.identity.hex)
        #expect(json["file_hash_sha256"] == Digest.of(image).hex)
        let blocks = image[0x424..<0x428].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(json["hash_offset"] == String(blocks * 4096))
    }

    @Test func twoRunsGiveTheSameBytesAndAnotherModelIsRefused() throws {
        let directory = try TemporaryDirectory()
        let (bundle, _) = try Self.bundle()
        let first = try Self.run(VerityExporter(to: directory.path), bundle)
        var options = VerityExporter.Options()
        options.workers = 5
        #expect(try Self.run(VerityExporter(to: directory.path, options), bundle).identity == first.identity)
        let (other, _) = try Self.bundle(seed: 2)
        #expect {
            try Self.run(VerityExporter(to: directory.path), other)
        } throws: { ($0 as? KapsuleError)?.code == .conflict }
        options.replaces = true
        #expect(try Self.run(VerityExporter(to: directory.path, options), other).identity != first.identity)
    }

    @Test func aLaneMayBeTriedAgain() throws {
        let directory = try TemporaryDirectory()
        let (bundle, _) = try Self.bundle()
        let (wrong, _) = try Self.bundle(seed: 2)
        let session = try VerityExporter(to: directory.path).begin(bundle)
        try Self.move(0, of: wrong, to: session)
        var broken = try #require(try session.open(lane: 1))
        try broken.beginFile(bundle.lanes[1].files[0])
        try broken.write([UInt8](repeating: 9, count: 2 << 20).span)
        broken.abandon()
        for lane in [0, 1] { try Self.move(lane, of: bundle, to: session) }
        let receipt = try session.commit([])
        let other = try TemporaryDirectory()
        #expect(try Self.run(VerityExporter(to: other.path), bundle).identity == receipt.identity)
    }

    @Test func nothingIsVisibleWithoutCommit() throws {
        let directory = try TemporaryDirectory()
        let (bundle, _) = try Self.bundle()
        do {
            let session = try VerityExporter(to: directory.path).begin(bundle)
            try Self.move(0, of: bundle, to: session)
            #expect(throws: KapsuleError.self) { try session.commit([]) }
        }
        #expect(try names(directory) == ["org", "org/model"])
    }

    @Test(arguments: ["no-revision", "a\nb@1", "../up@1", "name@a/b", "@1", "name@"])
    func identitiesThatNameNoFileAreRefused(_ identity: String) throws {
        let directory = try TemporaryDirectory()
        let (bundle, _) = try Self.bundle(identity: identity)
        #expect(throws: KapsuleError.self) { try VerityExporter(to: directory.path).begin(bundle) }
        #expect(throws: KapsuleError.self) {
            try EMWPExporter(to: directory.path, masterKey: Self.masterKey).begin(bundle)
        }
        #expect(try names(directory).isEmpty)
    }

    @Test func anEncryptedDiskHoldsTheSameImage() throws {
        let (bundle, _) = try Self.bundle()
        let directory = try TemporaryDirectory()
        let plain = try Self.run(VerityExporter(to: directory.path), bundle)
        let receipt = try Self.run(EMWPExporter(to: directory.path, masterKey: Self.masterKey), bundle)
        #expect(receipt.identity == plain.identity)
        let base = "org/model/0123456789abcdef0123456789abcdef01234567"
        #expect(try directory.read("\(base).emwp.info") == Array(receipt.reference.utf8))
        let disk = try directory.read("\(base).emwp")
        let image = try directory.read("\(base).mpk")
        let table = try PartitionTable(decodingHead: Array(disk.prefix(PartitionTable.headSize)))
        #expect(Array(disk.suffix(PartitionTable.tailSize)) == table.encodeTail())
        let range = table.partitions[0].range
        let encrypted = Array(disk[Int(range.lowerBound)..<Int(range.upperBound)])
        let key = try EMWPDisk.volumeKey(
            masterKey: Self.masterKey, root: receipt.identity, partitionUUID: table.partitions[0].uuid)
        var decrypted = [UInt8](repeating: 0, count: encrypted.count)
        var room = decrypted.mutableSpan
        try SectorCipher(key: key.span).decrypt(encrypted.span, into: &room, at: 0)
        #expect(decrypted == image)
        #expect(
            receipt.reference
                == "\(receipt.identity.hex)_\(plain.reference.split(separator: "_")[1])_\(table.partitions[0].uuid)")
        guard let sgdisk = try Tool.find("sgdisk") else { return }
        let check = try sgdisk.run(["--verify", "\(directory.path)/\(base).emwp"])
        #expect(String(decoding: check, as: UTF8.self).contains("No problems found"))
    }

    @Test func aKeyOfAnotherLengthIsRefused() throws {
        let directory = try TemporaryDirectory()
        let (bundle, _) = try Self.bundle()
        #expect {
            try EMWPExporter(to: directory.path, masterKey: [1, 2, 3]).begin(bundle)
        } throws: { ($0 as? KapsuleError)?.id == "emwp.key-size" }
    }
}
