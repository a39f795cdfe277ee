internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// The master key of encrypted disks: 64 bytes, in base64, from a file or the environment.
enum MasterKey {
    private static let size = 64

    /// `--key-file`, else `PRIVATE_MODEL_KEY_FILE`, else `PRIVATE_MODEL_KEY_B64`.
    ///
    /// - Throws: `.usage`; no message has any of the key in it.
    static func load(file: String?, _ environment: [String: String]) throws -> [UInt8] {
        if let path = file ?? environment["PRIVATE_MODEL_KEY_FILE"], !path.isEmpty {
            let bytes = try FileSource(path: path).readAll(limit: 4096, what: "the key file \(path)")
            return try decode(String(decoding: bytes, as: UTF8.self), from: "the key file \(path)")
        }
        guard let text = environment["PRIVATE_MODEL_KEY_B64"], !text.isEmpty else {
            throw KapsuleError(
                .usage, id: "emwp.no-key", "an encrypted disk needs a master key, and there is none",
                remedy: "make one with 'openssl rand -base64 -out KEY 64', and give it with --key-file KEY")
        }
        return try decode(text, from: "PRIVATE_MODEL_KEY_B64")
    }

    private static func decode(_ text: String, from place: String) throws -> [UInt8] {
        let digits = text.filter { !$0.isWhitespace }
        guard let data = Data(base64Encoded: digits), data.count == size else {
            throw KapsuleError(
                .usage, id: "emwp.bad-key", "\(place) does not hold \(size) bytes in base64",
                remedy: "make one with 'openssl rand -base64 -out KEY 64'")
        }
        return [UInt8](data)
    }
}
