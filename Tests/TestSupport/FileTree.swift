internal import Foundation

/// The files below a directory, to be compared with others.
public struct FileTree {
    private let root: String
    /// Relative paths of files and links, in order.
    public let files: [String]

    public init(_ root: String) throws {
        self.root = root
        let manager = FileManager.default
        files = try manager.subpathsOfDirectory(atPath: root).filter { path in
            let type = try manager.attributesOfItem(atPath: "\(root)/\(path)")[.type] as? FileAttributeType
            return type != .typeDirectory
        }.sorted()
    }

    /// What is different in the other: names, bytes, or whether the owner may execute it. Empty when nothing is.
    public func differences(from other: FileTree, ignoring ignored: Set<String> = []) throws -> [String] {
        let mine = Set(files).subtracting(ignored)
        let theirs = Set(other.files).subtracting(ignored)
        var found =
            mine.subtracting(theirs).map { "only here: \($0)" } + theirs.subtracting(mine).map { "only there: \($0)" }
        for path in mine.intersection(theirs) {
            if try content(path) != other.content(path) { found.append("other bytes: \(path)") }
            if try isExecutable(path) != other.isExecutable(path) { found.append("other mode: \(path)") }
        }
        return found.sorted()
    }

    private func content(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(path)"), options: .alwaysMapped)
    }

    private func isExecutable(_ path: String) throws -> Bool {
        let mode = try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")[.posixPermissions] as? NSNumber
        return (mode?.intValue ?? 0) & 0o100 != 0
    }
}
