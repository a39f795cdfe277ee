internal import KapsuleCore
internal import KapsuleIO

/// Whether everything fits, before the first byte is written.
enum SpaceCheck {
    /// Outputs on one file system are added up.
    ///
    /// - Throws: `.noSpace` with the sum, what is free, and where.
    static func check(_ sessions: [any ExportSession]) throws {
        var needs: [UInt64: (directory: String, terms: [(name: String, bytes: Int64)])] = [:]
        for session in sessions {
            guard let directory = session.directory.flatMap(FreeSpace.nearestExisting),
                let device = try FileStatus.of(directory, followsLinks: true)?.device
            else { continue }
            needs[device, default: (directory, [])].terms.append((session.name, session.size))
        }
        for need in needs.values.sorted(by: { $0.directory < $1.directory }) {
            let sum = need.terms.reduce(0) { $0 + $1.bytes }
            try FreeSpace.require(sum, in: need.directory, for: "the build", terms: need.terms)
        }
    }
}
