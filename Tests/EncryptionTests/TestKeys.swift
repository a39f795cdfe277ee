import Foundation
import TestSupport

/// Keys that openssl made, in every form that people have. Made once for all tests.
struct TestKeys {
    private static let directory = Result { try make() }
    private let directory: TemporaryDirectory

    static let passphrase = "correct horse"

    init() throws { directory = try Self.directory.get() }

    func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    private static func make() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        func openssl(_ arguments: String) throws {
            try TestProgram.openssl.check(
                arguments.split(separator: " ").map { $0 == "PASS" ? "pass:\(passphrase)" : String($0) },
                in: directory.path)
        }
        try openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem")
        try openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem")
        try openssl("genpkey -algorithm ED25519 -out ed25519.pem")
        for (name, curve) in [("p256", "P-256"), ("p384", "P-384"), ("p521", "P-521"), ("k1", "secp256k1")] {
            try openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:\(curve) -out \(name).pem")
        }
        for name in ["rsa", "rsa1024", "ed25519", "p256", "p384", "p521", "k1"] {
            try openssl("pkey -in \(name).pem -pubout -out \(name)-pub.pem")
        }
        try openssl("pkey -in rsa.pem -pubout -outform DER -out rsa-pub.der")
        try openssl("pkey -in rsa.pem -outform DER -out rsa.der")
        try openssl("rsa -in rsa.pem -traditional -out rsa-pkcs1.pem")
        try openssl("rsa -in rsa.pem -RSAPublicKey_out -out rsa-pub-pkcs1.pem")
        try openssl("ec -in p256.pem -out p256-sec1.pem")
        try openssl("ec -in p256.pem -outform DER -out p256-sec1.der")
        try openssl("pkcs8 -topk8 -in rsa.pem -v2 aes-256-cbc -passout PASS -out rsa-pbes2.pem")
        try openssl("pkcs8 -topk8 -in p256.pem -scrypt -passout PASS -out p256-scrypt.pem")
        try openssl("pkcs8 -topk8 -in rsa.pem -outform DER -v2 aes-256-cbc -passout PASS -out rsa-pbes2.der")
        for cipher in ["aes256", "aes128", "des3"] {
            try openssl("rsa -in rsa.pem -traditional -\(cipher) -passout PASS -out rsa-\(cipher).pem")
        }
        try openssl("ec -in p256.pem -aes256 -passout PASS -out p256-aes256.pem")
        for (name, key) in [("cert", "rsa:2048"), ("other-cert", "rsa:2048")] {
            try openssl(
                "req -x509 -newkey \(key) -nodes -days 2 -subj /CN=\(name) -keyout \(name)-key.pem -out \(name).pem")
        }
        try openssl("req -x509 -key p256.pem -days 2 -subj /CN=curve -out ec-cert.pem")
        try directory.write("passphrase", passphrase + "\n")
        return directory
    }
}
