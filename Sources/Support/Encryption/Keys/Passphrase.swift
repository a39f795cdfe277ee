internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// `FILE`, `FILE:PASS`, `FILE:pass=PASS`, `FILE:file=PATH` or `FILE:fd=N`: a key file, and what opens it.
///
/// Source: ocicrypt, `config/constructors.go` and skopeo's manual; a file whose own name has a colon wins.
struct KeyArgument {
    let path: String
    let passphrase: Passphrase?

    enum Passphrase {
        case text(String)
        case file(String)
        case descriptor(Int32)
    }

    init(_ text: String) throws {
        guard let colon = text.firstIndex(of: ":"), try FileStatus.of(text, followsLinks: true) == nil else {
            (path, passphrase) = (text, nil)
            return
        }
        path = String(text[..<colon])
        let rest = String(text[text.index(after: colon)...])
        if rest.hasPrefix("pass=") {
            passphrase = .text(String(rest.dropFirst(5)))
        } else if rest.hasPrefix("file=") {
            passphrase = .file(String(rest.dropFirst(5)))
        } else if rest.hasPrefix("fd=") {
            guard let number = Int32(rest.dropFirst(3)), number >= 0 else {
                throw KapsuleError(
                    .usage, id: "key.passphrase", "':fd=' behind \(path) names no descriptor",
                    remedy: "write a number, as in key.pem:fd=3")
            }
            passphrase = .descriptor(number)
        } else {
            passphrase = .text(rest)
        }
    }
}

extension KeyArgument.Passphrase {
    private static let longest = 64 << 10

    /// One line end at the end of a file or a descriptor is not part of it: editors and `echo` leave one there.
    func read() throws -> SecretBytes {
        var bytes: [UInt8]
        switch self {
        case .text(let text): return SecretBytes(copying: Array(text.utf8).span)
        case .file(let path):
            bytes = try FileSource(path: path).readAll(limit: Int64(Self.longest), what: "the passphrase \(path)")
        case .descriptor(let number): bytes = try InheritedDescriptor.readAll(number, limit: Self.longest)
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        return SecretBytes(taking: &bytes)
    }
}
