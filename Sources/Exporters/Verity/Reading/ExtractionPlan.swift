internal import Formats
internal import KapsuleCore
internal import KapsuleIO

/// What of an image goes where in a directory. Nothing in it can lead out of there.
struct ExtractionPlan {
    struct File: Sendable {
        let path: BundlePath
        let entry: EROFS.Image.Entry
        /// Bit 6: the owner may execute it.
        var mode: UInt32 { entry.permissions & 0o100 != 0 ? 0o755 : 0o644 }
    }

    private(set) var directories: [BundlePath] = []
    private(set) var files: [File] = []
    private(set) var symbolicLinks: [(path: BundlePath, target: String)] = []
    private(set) var hardLinks: [(path: BundlePath, existing: BundlePath)] = []
    private let image: String

    var isEmpty: Bool { directories.isEmpty && files.isEmpty && symbolicLinks.isEmpty }
    var size: Int64 { files.reduce(0) { $0 + $1.entry.size } }

    init(_ image: ReadableImage, _ options: UnpackOptions) throws {
        self.image = image.path
        var firstNames: [UInt64: BundlePath] = [:]
        for entry in image.system.entries where !entry.path.isEmpty {
            let path = try validated(entry)
            if entry.kind == .directory {
                if options.selectsAll { directories.append(path) }
                continue
            }
            guard options.selects(path) else { continue }
            switch entry.kind {
            case .regular:
                if let first = firstNames[entry.inodeNumber] {
                    hardLinks.append((path, first))
                } else {
                    firstNames[entry.inodeNumber] = path
                    files.append(File(path: path, entry: entry))
                }
            case .symbolicLink(let target): symbolicLinks.append((path, try checked(target, entry, path)))
            case .directory: break
            case .characterDevice, .blockDevice, .pipe, .socket: throw refusal(entry, "is a device, a pipe or a socket")
            }
        }
    }

    private func validated(_ entry: EROFS.Image.Entry) throws -> BundlePath {
        guard let text = String(validating: entry.path, as: UTF8.self) else { throw refusal(entry, "is not UTF-8") }
        if text.hasPrefix(AtomicFile.temporaryPrefix) { throw refusal(entry, "has a name that kapsule keeps") }
        do {
            return try BundlePath(validating: text)
        } catch { throw refusal(entry, error.reason) }
    }

    /// `..` counts only in front, where the directories it leaves are real ones.
    private func checked(_ target: [UInt8], _ entry: EROFS.Image.Entry, _ path: BundlePath) throws -> String {
        guard let text = String(validating: target, as: UTF8.self), !text.isEmpty, !target.contains(0) else {
            throw refusal(entry, "is a link to what is not UTF-8")
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let climbs = parts.prefix { $0 == ".." }.count
        guard !text.hasPrefix("/"), climbs <= path.ancestors.count, !parts.dropFirst(climbs).contains("..") else {
            throw refusal(entry, "is a link to '\(text.prefix(200))', which may lead outside")
        }
        return text
    }

    private func refusal(_ entry: EROFS.Image.Entry, _ why: String) -> KapsuleError {
        KapsuleError(
            .unverified, id: "unpack.refused",
            "\(image) holds what cannot be unpacked: '\(entry.displayPath.prefix(200))' \(why)",
            remedy: "do not use this image, or leave the entry out with --exclude")
    }
}
