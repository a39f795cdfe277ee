import Foundation
import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@testable import Encryption

/// Against a stand-in written from Vault's documentation: no real Vault can be installed here.
@Suite(.enabled(if: TestProgram.pythonVault.isUsable, "needs python3 with hvac")) struct VaultTests {
    /// The stand-in, and a way to make keys in it.
    struct Vault {
        let process: BackgroundProcess
        let address: String

        init(_ options: [String] = []) throws {
            process = try BackgroundProcess(
                .pythonVault, ["\(TestProgram.directory)/vault_server.py", "0"] + options)
            address = "http://127.0.0.1:\(try process.wait(for: "listening ([0-9]+)"))"
        }

        func make(_ name: String, _ type: String, exportable: Bool = false) throws {
            try send("keys/\(name)", #"{"type":"\#(type)","exportable":\#(exportable)}"#)
        }

        func rotate(_ name: String) throws { try send("keys/\(name)/rotate", "{}") }

        private func send(_ path: String, _ body: String) throws {
            try TestProgram.curl.check([
                "-sSf", "-H", "X-Vault-Token: root-token", "-d", body, "\(address)/v1/transit/\(path)",
            ])
        }

        func transit(_ key: String, _ more: [String: String] = [:], mount: String? = nil) throws -> VaultTransit {
            let environment = ["VAULT_ADDR": address, "VAULT_TOKEN": "root-token", "KAPSULE_RETRY_DELAY_MS": "1"]
            return try VaultTransit(
                VaultSettings(.init(mount: mount), environment: environment.merging(more) { $1 }), key: key)
        }

        func keyring(_ key: String, _ more: [String: String] = [:]) throws -> Keyring {
            var keyring = Keyring()
            keyring.add(try transit(key, more))
            return keyring
        }
    }

    @Test func theStandInSatisfiesTheRealClient() throws {
        let vault = try Vault()
        let output = try TestProgram.pythonVault.check([
            "\(TestProgram.directory)/vault_client.py", vault.address, "root-token",
        ])
        #expect(output == "ok\n")
    }

    @Test(arguments: ["rsa-2048", "aes256-gcm96"]) func theKeyStaysInVault(_ type: String) throws {
        let vault = try Vault()
        try vault.make("model", type)
        let layer = try Samples.encrypt(Samples.plaintext, for: [Recipient(vault: try vault.transit("model"))])
        try vault.rotate("model")
        let plain = try Samples.decrypt(
            layer.ciphertext, layer.annotations, layer.artifact, with: try vault.keyring("model"))
        #expect(plain == Samples.plaintext)
        #expect(!vault.process.output.contains("export"))
    }

    @Test func everybodyWithThePrivateKeyCanReadItToo() throws {
        let vault = try Vault()
        try vault.make("model", "rsa-2048", exportable: true)
        let layer = try Samples.encrypt(Samples.plaintext, for: [Recipient(vault: try vault.transit("model"))])
        #expect(
            try LayerRecipients(layer.annotations, what: "it").names == [
                "RSA-2048 (RSA-OAEP-256) kid vault:transit/model:v1"
            ])
        try vault.rotate("model")
        var keyring = Keyring()
        try keyring.addExported(from: try vault.transit("model"))
        #expect(
            try Samples.decrypt(layer.ciphertext, layer.annotations, layer.artifact, with: keyring) == Samples.plaintext
        )
    }

    @Test func whatAnotherToolEncryptedIsExplained() throws {
        let vault = try Vault()
        try vault.make("model", "rsa-2048", exportable: true)
        guard case .key(let recipient) = try vault.transit("model").wrapping() else { return }
        let directory = try TemporaryDirectory()
        let file = try directory.write("key.pem", PEMBlock.encode("PUBLIC KEY", recipient.key.subjectPublicKeyInfo))
        let layer = try Samples.encrypt(Samples.plaintext, for: [try Recipient(.file(file), environment: [:])])
        let keyring = try vault.keyring("model")
        #expect(failure { try keyring.unlock(layer.annotations, what: "it") } == "vault.sha1")
        var exported = Keyring()
        try exported.addExported(from: try vault.transit("model"))
        _ = try exported.unlock(layer.annotations, what: "it")
    }

    @Test func refusalsAreToldApart() throws {
        let vault = try Vault()
        try vault.make("model", "rsa-2048")
        try vault.make("other", "rsa-2048")
        try vault.make("signer", "ecdsa-p256")
        func wrapping(_ key: String, _ more: [String: String] = [:], mount: String? = nil) -> String? {
            failure { try vault.transit(key, more, mount: mount).wrapping() }
        }
        #expect(wrapping("none") == "vault.no-key")
        #expect(wrapping("model", mount: "elsewhere") == "vault.no-key")
        #expect(wrapping("model", ["VAULT_TOKEN": "wrong"]) == "vault.denied")
        #expect(wrapping("model", ["VAULT_NAMESPACE": "a/b"]) == "vault.denied")
        #expect(wrapping("signer") == "vault.key-type")
        #expect(wrapping("../model") == "vault.key-name")
        #expect(wrapping("model", ["VAULT_ADDR": "http://127.0.0.1:1"]) == "http.connect")
        #expect(failure { try vault.transit("model").exportedKeys() } == "vault.not-exportable")
        let layer = try Samples.encrypt(Samples.plaintext, for: [Recipient(vault: try vault.transit("model"))])
        let keyring = try vault.keyring("other")
        #expect(failure { try keyring.unlock(layer.annotations, what: "it") } == "vault.not-for-us")
    }

    @Test func aSealedVaultSaysSo() throws {
        let vault = try Vault(["--sealed"])
        do {
            _ = try vault.transit("model").wrapping()
        } catch let error as KapsuleError {
            #expect(error.code == .unavailable && error.id == "vault.sealed")
            #expect(error.remedy?.contains("unseal") == true && !"\(error)".contains("root-token"))
        }
    }

    @Test func aBusyVaultIsAskedAgain() throws {
        let vault = try Vault(["--namespace", "team/one"])
        let environment = ["VAULT_NAMESPACE": "team/one"]
        try TestProgram.curl.check([
            "-sSf", "-H", "X-Vault-Token: root-token", "-H", "X-Vault-Namespace: team/one", "-d",
            #"{"type":"rsa-2048"}"#,
            "\(vault.address)/v1/transit/keys/model",
        ])
        let layer = try Samples.encrypt([1], for: [Recipient(vault: try vault.transit("model", environment))])
        let busy = try Vault(["--busy", "2"])
        #expect(failure { try busy.transit("none").wrapping() } == "vault.no-key")
        _ = try vault.keyring("model", environment).unlock(layer.annotations, what: "it")
    }
}
