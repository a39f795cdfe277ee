internal import KapsuleCore
internal import KapsuleIO

/// Whether everything fits, before the first byte is written.
enum SpaceCheck {
    /// Room that is left alone, in bytes: manifests, indexes and what the file system needs for itself.
    private static let margin: Int64 = 4 << 20

    /// Outputs on one file system are added up.
    ///
    /// - Throws: `.noSpace` with the sum, what is free, and where.
    static func check(_ sessions: [any ExportSession]) throws {
        var needs: [UInt64: (directory: String, bytes: Int64)] = [:]
        for session in sessions {
            guard let directory = session.directory, session.size > 0,
                let device = try FileStatus.of(directory, followsLinks: true)?.device
            else { continue }
            needs[device, default: (directory, 0)].bytes += session.size
        }
        for need in needs.values.sorted(by: { $0.directory < $1.directory }) {
            let free = try Directories.freeBytes(at: need.directory)
            guard free < need.bytes + margin else { continue }
            throw KapsuleError(
                .noSpace, id: "output.no-space",
                "the build needs \(ByteCount.text(need.bytes + margin)) in \(need.directory), "
                    + "and \(ByteCount.text(free)) are free there",
                remedy: "free \(ByteCount.text(need.bytes + margin - free)) there, or write elsewhere with --output")
        }
    }
}
