internal import KapsuleCore

/// Whether an output fits, before the first byte is written.
public enum FreeSpace {
    /// Room that is left alone, in bytes: manifests, indexes and what the file system needs for itself.
    private static let margin: Int64 = 4 << 20

    /// - Parameters:
    ///   - directory: exists, or a directory above it does.
    ///   - what: completes "… needs 14.9 GiB".
    ///   - terms: what `bytes` is the sum of, each with its name; may be empty.
    /// - Throws: `.noSpace` with what is needed and why, what is free, and where.
    public static func require(
        _ bytes: Int64, in directory: String, for what: String, terms: [(name: String, bytes: Int64)] = []
    ) throws {
        guard bytes > 0, let existing = nearestExisting(directory) else { return }
        let free = try Directories.freeBytes(at: existing)
        let needed = bytes + margin
        guard free < needed else { return }
        throw KapsuleError(
            .noSpace, id: "output.no-space",
            "\(what) needs \(ByteCount.text(needed)) in \(directory)\(formula(terms)), and \(ByteCount.text(free)) are free there",
            remedy: "free \(ByteCount.text(needed - free)) there, or write elsewhere with --output")
    }

    /// ` (oci → layout 12.0 GiB + 4.0 MiB to spare)`.
    private static func formula(_ terms: [(name: String, bytes: Int64)]) -> String {
        guard !terms.isEmpty else { return "" }
        let parts = terms.map { "\($0.name) \(ByteCount.text($0.bytes))" } + ["\(ByteCount.text(margin)) to spare"]
        return " (\(parts.joined(separator: " + ")))"
    }

    /// `path`, or the nearest directory above it that exists.
    public static func nearestExisting(_ path: String) -> String? {
        var path = path
        while !path.isEmpty {
            if let status = try? FileStatus.of(path, followsLinks: true), status.kind == .directory { return path }
            guard let slash = path.lastIndex(of: "/") else { return "." }
            path = String(path[..<slash])
        }
        return "/"
    }
}
