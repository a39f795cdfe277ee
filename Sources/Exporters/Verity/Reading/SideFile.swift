internal import FoundationEssentials
internal import KapsuleCore
internal import KapsuleIO

/// What lies beside an image and says which one it is. Whoever can change the image can change this too.
public struct SideFile: Sendable {
    public enum Kind: Sendable, Hashable {
        /// `.info`: the reference as text.
        case info
        /// `.json` of privatemode: `root_hash`, `hash_offset` and more.
        case privatemode
        /// An array whose first member has `roothash`, as systemd-repart prints it.
        case repart
    }

    public let path: String
    public let kind: Kind
    public let reference: RootReference

    private static let longest: Int64 = 64 << 10

    /// The first one that there is.
    ///
    /// - Throws: `.usage` for an info file that holds no reference.
    static func find(besides image: String) throws -> SideFile? {
        for path in names(besides: image) {
            guard try FileStatus.of(path, followsLinks: true)?.kind == .regular else { continue }
            let bytes = try FileSource(path: path).readAll(limit: longest, what: path)
            if let found = try read(bytes, at: path) { return found }
        }
        return nil
    }

    private static func names(besides image: String) -> [String] {
        let directory = Paths.directory(of: image)
        let stem = image.hasSuffix(".mpk") ? String(image.dropLast(4)) : nil
        return [stem.map { "\($0).info" }, "\(image).info", "\(image).json", "\(directory)/repart.json"]
            .compactMap(\.self)
    }

    private static func read(_ bytes: [UInt8], at path: String) throws -> SideFile? {
        if path.hasSuffix(".info") {
            let text = String(decoding: bytes, as: UTF8.self).trimmingSpace()
            let reference = try doing("reading \(path)") { try RootReference(parsing: text) }
            return SideFile(path: path, kind: .info, reference: reference)
        }
        if let record = try? JSONDecoder().decode(PrivatemodeRecord.self, from: Data(bytes)) {
            let reference = RootReference(parsingParts: record.root_hash, record.hash_offset)
            return reference.map { SideFile(path: path, kind: .privatemode, reference: $0) }
        }
        if let records = try? JSONDecoder().decode([RepartRecord].self, from: Data(bytes)), let first = records.first {
            return RootReference(parsingParts: first.roothash, nil)
                .map { SideFile(path: path, kind: .repart, reference: $0) }
        }
        return nil
    }

    // Named as the documents name them.
    private struct PrivatemodeRecord: Decodable {
        var root_hash: String
        var hash_offset: String
    }

    private struct RepartRecord: Decodable { var roothash: String }
}

extension RootReference {
    fileprivate init?(parsingParts root: String, _ offset: String?) {
        guard let reference = try? RootReference(parsing: offset.map { "\(root)_\($0)" } ?? root) else { return nil }
        self = reference
    }
}

extension String {
    fileprivate func trimmingSpace() -> String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
