import Encryption
import Exporters
import Foundation
import KapsuleCore
import OCI
import TestSupport
import Testing

/// The tool that everybody trusts, in both directions.
@Suite(
    .enabled(if: TestProgram.skopeo.isUsable && TestProgram.openssl.isUsable, "needs skopeo and openssl"))
struct SkopeoTests {
    let keys: TestKeys
    let fixture: ImageFixture

    init() throws {
        keys = try TestKeys()
        fixture = try ImageFixture()
    }

    /// For whom, and what each of them decrypts with. Skopeo 1.9.3 takes no passphrase, and no key in SEC1 PEM.
    static let recipients: [(recipients: [String], keys: [[String]])] = [
        (["jwe:rsa-pub.pem"], [["rsa.pem"]]),
        (["jwe:p256-pub.pem"], [["p256.pem"]]),
        (["jwe:p384-pub.pem"], [["p384.pem"]]),
        (["jwe:p521-pub.pem"], [["p521.pem"]]),
        (["jwe:rsa-pub.der"], [["rsa.der"]]),
        (["pkcs7:cert.pem"], [["cert-key.pem", "cert.pem"]]),
        (
            ["pkcs7:cert.pem", "pkcs7:other-cert.pem"],
            [["cert-key.pem", "cert.pem"], ["other-cert-key.pem", "other-cert.pem"]]
        ),
        (
            ["jwe:rsa-pub.pem", "jwe:p256-pub.pem", "jwe:p521-pub.pem", "pkcs7:cert.pem"],
            [["rsa.pem"], ["p256.pem"], ["p521.pem"], ["cert-key.pem", "cert.pem"]]
        ),
    ]

    private func reference(_ text: String) throws -> Recipient {
        let parts = text.split(separator: ":").map(String.init)
        return try Recipient(
            parts[0] == "jwe" ? .jwe(keys.path(parts[1])) : .pkcs7(keys.path(parts[1])), environment: [:])
    }

    private func keyring(_ files: [String]) throws -> Keyring {
        var keyring = Keyring()
        for file in files { try keyring.add(keys.path(file), environment: [:]) }
        return keyring
    }

    @Test(arguments: recipients.indices, [LayerCompression.none, .gzip])
    func skopeoDecryptsWhatKapsuleEncrypted(_ index: Int, _ compression: LayerCompression) async throws {
        let row = Self.recipients[index]
        try fixture.build(
            "encrypted", for: try row.recipients.map { .init(try reference($0)) }, compression: compression)
        let types = try fixture.image("encrypted").manifest.content.layers.map(\.mediaType)
        #expect(types.allSatisfy { $0.hasSuffix(compression == .gzip ? "tar+gzip+encrypted" : "tar+encrypted") })
        for (number, files) in row.keys.enumerated() {
            let options = files.flatMap { ["--decryption-key", keys.path($0)] }
            try TestProgram.skopeo.check(
                ["copy"] + options + [
                    "oci:\(fixture.path("encrypted")):1", "oci:\(fixture.path("skopeo-\(number)")):1",
                ])
            #expect(try await fixture.unpack("skopeo-\(number)", with: Keyring()) == ImageFixture.expected)
        }
    }

    @Test(arguments: recipients.indices, ["oci", "dir"])
    func kapsuleDecryptsWhatSkopeoEncrypted(_ index: Int, _ transport: String) async throws {
        let row = Self.recipients[index]
        try fixture.build("plain")
        let options = row.recipients.flatMap { text in
            let parts = text.split(separator: ":")
            return ["--encryption-key", "\(parts[0]):\(keys.path(String(parts[1])))"]
        }
        // Skopeo gzips on the way to a layout, and leaves layers as they are on the way to a directory.
        let first = transport == "oci" ? "oci:\(fixture.path("encrypted")):1" : "dir:\(fixture.path("directory"))"
        try TestProgram.skopeo.check(["copy"] + options + ["oci:\(fixture.path("plain")):1", first])
        if transport == "dir" {
            try TestProgram.skopeo.check(["copy", first, "oci:\(fixture.path("encrypted")):1"])
        }
        let types = try fixture.image("encrypted").manifest.content.layers.map(\.mediaType)
        #expect(types.allSatisfy { $0.hasSuffix("+encrypted") })
        for files in row.keys {
            #expect(try await fixture.unpack("encrypted", with: try keyring(files)) == ImageFixture.expected)
        }
    }

    @Test func singleLayersMayBeEncrypted() async throws {
        try fixture.build("plain")
        try TestProgram.skopeo.check([
            "copy", "--encryption-key", "jwe:\(keys.path("p256-pub.pem"))", "--encrypt-layer=-1",
            "oci:\(fixture.path("plain")):1", "oci:\(fixture.path("encrypted")):1",
        ])
        let types = try fixture.image("encrypted").manifest.content.layers.map(\.mediaType)
        #expect(types.filter { $0.hasSuffix("+encrypted") }.count == 1)
        #expect(try await fixture.unpack("encrypted", with: try keyring(["p256.pem"])) == ImageFixture.expected)
    }

    /// A copy that encrypts, and one that decrypts: the same image again, to the byte.
    @Test func decryptingGivesTheVeryImageThatWasEncrypted() async throws {
        let digest = try fixture.build("plain")
        let copy = ImageCopier(
            concurrency: 2, recipients: RecipientSet([try reference("jwe:rsa-pub.pem")]), progress: SilentProgress())
        let encrypted = try await copy.copy(
            fixture.image("plain"), to: fixture.destination("encrypted"), replaces: false)
        #expect(encrypted != digest)
        let back = ImageCopier(concurrency: 2, keyring: try keyring(["rsa.pem"]), progress: SilentProgress())
        let again = try await back.copy(
            fixture.image("encrypted"), to: fixture.destination("decrypted"), replaces: false)
        #expect(again == digest)
        try TestProgram.skopeo.check([
            "copy", "--decryption-key", keys.path("rsa.pem"), "oci:\(fixture.path("encrypted")):1",
            "dir:\(fixture.path("skopeo"))",
        ])
    }

    @Test(.enabled(if: TestProgram.umoci.isUsable, "needs umoci")) func umociUnpacksWhatSkopeoDecrypted() throws {
        try fixture.build("encrypted", for: [.init(try reference("jwe:p384-pub.pem"))])
        try TestProgram.skopeo.check([
            "copy", "--decryption-key", keys.path("p384.pem"), "oci:\(fixture.path("encrypted")):1",
            "oci:\(fixture.path("decrypted")):1",
        ])
        try TestProgram.umoci.check([
            "raw", "unpack", "--rootless", "--image", "\(fixture.path("decrypted")):1", fixture.path("tree"),
        ])
        #expect(ImageFixture.listing("\(fixture.path("tree"))/models") == ImageFixture.expected)
    }

    // MARK: What must not get through

    @Test func aKeyOfSomebodyElseOpensNothing() async throws {
        try fixture.build("encrypted", for: [.init(try reference("jwe:p384-pub.pem"))])
        for (files, id) in [(["p256.pem"], "encryption.not-for-us"), ([], "encryption.no-key")] {
            do {
                _ = try await fixture.unpack("encrypted", with: try keyring(files), into: "target")
                Issue.record("it was opened")
            } catch let error as KapsuleError {
                #expect(error.code == .undecryptable && error.id == id)
                #expect(error.remedy?.contains("ECDH-ES+A256KW EC P-384") == true)
            }
            #expect(ImageFixture.listing(fixture.path("target")).isEmpty)
        }
    }

    /// A registry that changes a byte of a layer, and the manifest so that digests fit: no file gets its name.
    @Test(arguments: [0, 512, 1024, -1]) func aChangedLayerLeavesNoFile(_ offset: Int) async throws {
        try fixture.build("encrypted", for: [.init(try reference("jwe:p256-pub.pem"))])
        let layout = try ImageLayout.open(fixture.path("encrypted"))
        let image = try fixture.image("encrypted")
        var manifest = image.manifest.content
        let layer = manifest.layers.count - 1
        var bytes = try layout.blob(manifest.layers[layer].artifact).readAll(limit: 1 << 20, what: "it")
        bytes[offset < 0 ? bytes.count - 1 : offset] ^= 1
        manifest.layers[layer].digest = try layout.put(bytes).digest
        manifest.layers = [manifest.layers[layer]]
        let stored = try layout.put(manifest.encoded())
        try layout.setTag(
            "1", Descriptor(mediaType: MediaType.manifest, digest: stored.digest, size: stored.size), replace: true)
        do {
            _ = try await fixture.unpack("encrypted", with: try keyring(["p256.pem"]), into: "target")
            Issue.record("it was unpacked")
        } catch let error as KapsuleError {
            #expect(error.code == .unverified && error.id == "encryption.hmac")
        }
        #expect(ImageFixture.listing(fixture.path("target")).isEmpty)
    }

    /// Somebody with the public key replaces a layer by one of his own: it decrypts, and is not what the config says.
    @Test func aReplacedLayerLeavesNoFile() async throws {
        let recipient = try reference("jwe:p256-pub.pem")
        try fixture.build("encrypted", for: [.init(recipient)])
        let layout = try ImageLayout.open(fixture.path("encrypted"))
        var manifest = try fixture.image("encrypted").manifest.content
        let other = try Samples.encrypt([UInt8](repeating: 0, count: 10240), for: [recipient])
        manifest.layers[0].digest = try layout.put(other.ciphertext).digest
        manifest.layers[0].size = other.artifact.size
        manifest.layers[0].annotations.merge(other.annotations) { $1 }
        let stored = try layout.put(manifest.encoded())
        try layout.setTag(
            "1", Descriptor(mediaType: MediaType.manifest, digest: stored.digest, size: stored.size), replace: true)
        do {
            _ = try await fixture.unpack("encrypted", with: try keyring(["p256.pem"]), into: "target")
            Issue.record("it was unpacked")
        } catch let error as KapsuleError {
            #expect(error.id == "encryption.diff-id")
        }
    }

    // MARK: Patterns

    @Test func whoMayReadSomeFilesReadsNoOthers() async throws {
        let all = LayerEncryption.Rule(try reference("jwe:rsa-pub.pem"))
        let some = LayerEncryption.Rule(try reference("jwe:p256-pub.pem"), files: PathFilter(["*.safetensors"]))
        try fixture.build("encrypted", for: [all, some])
        #expect(try await fixture.unpack("encrypted", with: try keyring(["rsa.pem"])) == ImageFixture.expected)
        let image = try fixture.image("encrypted")
        let readable = image.manifest.content.layers.filter { layer in
            (try? keyring(["p256.pem"]).unlock(layer.annotations, what: "it")) != nil
        }
        #expect(readable.map { $0.annotations["io.kapsule.file.path"] } == [nil])
        #expect(readable.count == 1)
    }

    @Test func aFileForNobodyIsRefused() throws {
        let some = LayerEncryption.Rule(try reference("jwe:p256-pub.pem"), files: PathFilter(["*.safetensors"]))
        #expect(failure { try fixture.build("encrypted", for: [some]) } == "encryption.uncovered")
        #expect(!FileManager.default.fileExists(atPath: fixture.path("encrypted")))
    }
}
