internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// The master key of encrypted disks: 64 bytes, in base64, from a file or the environment.
enum MasterKey {
    private static let size = 64

    enum Place {
        case file(String)
        /// The name of an environment variable.
        case variable(String)
    }

    /// `--key-file`, else what ENCRYPT names, else `PRIVATE_MODEL_KEY_FILE`, else `PRIVATE_MODEL_KEY_B64`.
    ///
    /// - Throws: `.usage`; no message has any of the key in it.
    static func load(
        file: String?, else named: BuildEncryption.DiskKey? = nil, _ environment: [String: String]
    ) throws -> [UInt8] {
        if let file { return try read(.file(file), environment) }
        if let named {
            do {
                return try read(named.place, environment)
            } catch let error as KapsuleError {
                throw error.blaming(named.span)
            }
        }
        if let path = environment["PRIVATE_MODEL_KEY_FILE"], !path.isEmpty {
            return try read(.file(path), environment)
        }
        return try read(.variable("PRIVATE_MODEL_KEY_B64"), environment)
    }

    private static func read(_ place: Place, _ environment: [String: String]) throws -> [UInt8] {
        switch place {
        case .file(let path):
            let bytes = try FileSource(path: path).readAll(limit: 4096, what: "the key file \(path)")
            return try decode(String(decoding: bytes, as: UTF8.self), from: "the key file \(path)")
        case .variable(let name):
            guard let text = environment[name], !text.isEmpty else { throw missing(name) }
            return try decode(text, from: name)
        }
    }

    private static func missing(_ variable: String) -> KapsuleError {
        guard variable == "PRIVATE_MODEL_KEY_B64" else {
            return KapsuleError(
                .usage, id: "emwp.no-key",
                "the environment variable \(variable), which holds the master key, is not set",
                remedy: "set it to 64 bytes in base64")
        }
        return KapsuleError(
            .usage, id: "emwp.no-key", "an encrypted disk needs a master key, and there is none",
            remedy: "make one with 'kapsule keygen emwp', and give it with --key-file")
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
