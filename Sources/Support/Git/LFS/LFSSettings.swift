public import HTTP
internal import KapsuleCore

/// How LFS servers are spoken to.
public struct LFSSettings: Sendable {
    public var transport: TransportSettings
    public var retry: RetryPolicy

    public init(transport: TransportSettings, retry: RetryPolicy) {
        self.transport = transport
        self.retry = retry
    }
}

/// Where the files of a repository are that git only points to.
enum LFSEndpoint {
    /// A server.
    case server(WebAddress)
    /// A repository on this machine: the folders its objects may be in.
    case folders([String])

    /// - Parameters:
    ///   - repository: as git takes it.
    ///   - configured: what `.lfsconfig` of the commit says. Whoever writes it does not decide what is read of this machine,
    ///     nor that anything goes over the network in the clear.
    /// - Throws: `.usage` for an address that cannot be used.
    ///
    /// Source: git-lfs, docs/api/server-discovery.md.
    init(of repository: String, configured: String?) throws {
        if let configured {
            guard let address = WebAddress(parsing: configured),
                address.scheme == .https || address.isLoopback || repository.hasPrefix("http://")
            else {
                throw KapsuleError(
                    .usage, id: "lfs.address",
                    ".lfsconfig of \(repository) names an LFS server that cannot be used: '\(configured.prefix(200))'",
                    remedy: "it has to be an https address without a user name; clone the repository to use others")
            }
            self = .server(address.replacingTarget(Self.trimmed(address.target)))
            return
        }
        if repository.hasPrefix("file://") {
            let path = try Self.path(repository)
            self = .folders(["\(path)/.git/lfs/objects", "\(path)/lfs/objects"])
            return
        }
        guard let address = WebAddress(parsing: repository) else {
            throw KapsuleError(.usage, id: "lfs.address", "\(repository) is no web address, so there is no LFS server")
        }
        let target = Self.trimmed(address.target)
        self = .server(address.replacingTarget("\(target.hasSuffix(".git") ? target : target + ".git")/info/lfs"))
    }

    private static func trimmed(_ target: String) -> String {
        var target = target
        while target.hasSuffix("/") { target.removeLast() }
        return target
    }

    /// The path in a `file://` address, which git decodes.
    private static func path(_ address: String) throws -> String {
        let rest = Array(address.utf8.dropFirst("file://".utf8.count).drop { $0 != UInt8(ascii: "/") })
        var bytes: [UInt8] = []
        var index = 0
        while index < rest.count {
            let digits = String(decoding: rest[min(index + 1, rest.count)..<min(index + 3, rest.count)], as: UTF8.self)
            if rest[index] == UInt8(ascii: "%"), digits.utf8.count == 2, let byte = UInt8(digits, radix: 16) {
                bytes.append(byte)
                index += 3
            } else {
                bytes.append(rest[index])
                index += 1
            }
        }
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        guard let path = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw KapsuleError(.usage, id: "git.path", "\(address) is not a path in UTF-8")
        }
        return path
    }
}
