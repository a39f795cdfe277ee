import Foundation
import KapsuleCore
import TestSupport
import Testing

@testable import Encryption

@Suite(.enabled(if: TestProgram.python.isUsable, "needs python3")) struct KeyProviderTests {
    let directory: TemporaryDirectory
    let environment: [String: String]

    init() throws {
        directory = try TemporaryDirectory()
        let key = try directory.write("key", "not a secret")
        let python = try #require(TestProgram.python.path)
        let config = try directory.write(
            "config.json",
            """
            {"key-providers":{"example":{"cmd":{"path":"\(python)","args":["\(TestProgram.directory)/key_provider.py","\(key)","\(directory.path)/log"]}},
            "remote":{"grpc":"example.com:1"},"nameless":{"grpc":"unix:///x"},"silent":{"grpc":"127.0.0.1:1"},"broken":{"cmd":{"path":"/bin/false"}}}}
            """)
        environment = ["OCICRYPT_KEYPROVIDER_CONFIG": config, "PATH": "/usr/bin:/bin"]
    }

    @Test func aProgramWrapsAndUnwraps() throws {
        let layer = try Samples.encrypt(
            Samples.plaintext,
            for: [try Recipient(try Recipient.reference("provider:example:more:words"), environment: environment)])
        #expect(layer.annotations.keys.contains("org.opencontainers.image.enc.keys.provider.example"))
        var keyring = Keyring()
        try keyring.add("provider:example", environment: environment)
        #expect(
            try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring) == Samples.plaintext
        )
        let log = String(decoding: try directory.read("log"), as: UTF8.self)
        #expect(
            log.contains(Base64.encode(Array("more:words".utf8))) && log.contains(Base64.encode(Array("Enabled".utf8))))
    }

    /// ocicrypt hands a provider the private keys that were given for others.
    @Test func aProviderIsSentNobodyElsesKeys() throws {
        let layer = try Samples.encrypt(
            Samples.plaintext,
            for: [try Recipient(.provider(name: "example", parameter: nil), environment: environment)])
        var keyring = try Samples.vectorKeyring()
        try keyring.add("provider:example", environment: environment)
        _ = try keyring.unlock(layer.annotations, what: "it")
        #expect(!String(decoding: try directory.read("log"), as: UTF8.self).contains("privkeys"))
    }

    @Test(arguments: ["remote", "nameless", "none"]) func whatCannotBeRunIsRefused(
        _ name: String
    ) {
        #expect(
            failure { try Recipient(.provider(name: name, parameter: nil), environment: environment) } == "key.provider"
        )
    }

    @Test func aProgramThatFailsIsNamed() throws {
        let recipient = try Recipient(.provider(name: "broken", parameter: nil), environment: environment)
        #expect(failure { try Samples.encrypt([1], for: [recipient]) } == "key.provider-failed")
    }

    // MARK: Services

    /// A real gRPC server in front of the program, and the configuration that names it.
    private final class Service {
        let environment: [String: String]
        private let process: BackgroundProcess

        init(_ directory: TemporaryDirectory, keyFile: String, tls: TestCertificates? = nil) throws {
            process = try BackgroundProcess(
                .pythonGRPC,
                ["\(TestProgram.directory)/key_service.py", keyFile, "\(directory.path)/log"]
                    + (tls.map { [$0.certificate, $0.key] } ?? []))
            let port = try process.wait(for: "listening on ([0-9]+)")
            let secured = tls.map { #","grpc-tls":{"root-ca-file":"\#($0.authority)"}"# } ?? ""
            environment = [
                "OCICRYPT_KEYPROVIDER_CONFIG": try directory.write(
                    "service.json", #"{"key-providers":{"example":{"grpc":"127.0.0.1:\#(port)"\#(secured)}}}"#)
            ]
        }
    }

    @Test(.enabled(if: TestProgram.pythonGRPC.isUsable, "needs python3 with grpcio"), arguments: [false, true])
    func aServiceWrapsAndUnwraps(_ isSecured: Bool) throws {
        let certificates = isSecured ? try TestCertificates() : nil
        let service = try Service(directory, keyFile: "\(directory.path)/key", tls: certificates)
        let provider = try Recipient(.provider(name: "example", parameter: nil), environment: service.environment)
        let layer = try Samples.encrypt(Samples.plaintext, for: [provider])
        for place in [service.environment, environment] {
            var keyring = Keyring()
            try keyring.add("provider:example", environment: place)
            // An image has several layers, and so several calls.
            for _ in 0..<3 { _ = try keyring.unlock(layer.annotations, what: "it") }
            #expect(
                try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring)
                    == Samples.plaintext)
        }
    }

    @Test(.enabled(if: TestProgram.pythonGRPC.isUsable, "needs python3 with grpcio"))
    func aServiceThatRefusesIsNamed() throws {
        let service = try Service(directory, keyFile: "\(directory.path)/nothing")
        let recipient = try Recipient(.provider(name: "example", parameter: nil), environment: service.environment)
        #expect(failure { try Samples.encrypt([1], for: [recipient]) } == "key.provider-failed")
    }

    @Test func aServiceThatIsNotThereIsUnavailable() throws {
        let recipient = try Recipient(.provider(name: "silent", parameter: nil), environment: environment)
        #expect(throws: KapsuleError.self) { try Samples.encrypt([1], for: [recipient]) }
    }
}
