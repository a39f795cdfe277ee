internal import KapsuleCore

/// What can be wrong with a key file. Names it, and never shows what is in it.
enum KeyFailure {
    case notAKey(String, String)
    case unsupported(String, String)
    case tooShort(String, Int)
    case passphraseMissing(String)
    case passphraseWrong(String)
    case privateAsRecipient(String)
    case publicForDecryption(String)
    case certificateAsKey(String)

    var error: KapsuleError {
        switch self {
        case .notAKey(let name, let why):
            KapsuleError(
                .usage, id: "key.not-a-key", "\(name) is no key: \(why)",
                remedy: "give a key as PEM, DER, JSON Web Key or certificate; 'kapsule keygen' makes a pair")
        case .unsupported(let name, let what):
            KapsuleError(
                .usage, id: "key.unsupported", "\(name) is \(what), which cannot be used here",
                remedy: "use RSA of 2048 bits or more, or EC on P-256, P-384 or P-521")
        case .tooShort(let name, let bits):
            KapsuleError(
                .usage, id: "key.too-short", "\(name) is an RSA key of \(bits) bits, which can be broken",
                remedy: "use 2048 bits or more; 'kapsule keygen' makes 4096")
        case .passphraseMissing(let name):
            KapsuleError(
                .usage, id: "key.passphrase-missing", "\(name) is protected by a passphrase, and none was given",
                remedy: "put it into a file that only you can read, and write \(name):file=PATH")
        case .passphraseWrong(let name):
            KapsuleError(
                .usage, id: "key.passphrase-wrong", "the passphrase does not open \(name)",
                remedy: "check the passphrase; 'openssl pkey -in \(name) -noout' tries it by hand")
        case .privateAsRecipient(let name):
            KapsuleError(
                .usage, id: "key.private-as-recipient",
                "\(name) is a private key; images are encrypted with the public one",
                remedy: "give the public key: 'openssl pkey -in \(name) -pubout -out public.pem' takes it out")
        case .publicForDecryption(let name):
            KapsuleError(
                .usage, id: "key.public-for-decryption",
                "\(name) is a public key; images are decrypted with the private one",
                remedy: "give the private key that belongs to it")
        case .certificateAsKey(let name):
            KapsuleError(
                .usage, id: "key.not-a-certificate", "\(name) is a bare public key, and pkcs7: needs a certificate",
                remedy: "give the X.509 certificate, or write jwe:\(name)")
        }
    }
}
