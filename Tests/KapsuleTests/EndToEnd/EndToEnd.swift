import Foundation
import TestSupport
import Testing

/// What the tests of the built program share.
enum EndToEnd {
    /// Docker's registry.
    static let hasRegistry = TestProgram.registry.isUsable
    /// The programs that read what kapsule writes.
    static let hasReaders = [TestProgram.registry, .skopeo, .umoci].allSatisfy(\.isUsable)

    /// Seeds of the tests that kill: a few, or as many as `KAPSULE_CAMPAIGN` says.
    static var seeds: Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["KAPSULE_TEST_SEED"].flatMap(UInt64.init) { return seed..<seed + 1 }
        return 0..<(environment["KAPSULE_CAMPAIGN"].flatMap(UInt64.init) ?? 6)
    }

    static func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    static func digest(in reference: String) throws -> String {
        "sha256:" + (try #require(reference.split(separator: "@sha256:").last))
    }
}

extension Sandbox {
    /// skopeo, without signatures and TLS, with the sandbox's auth file.
    @discardableResult
    func skopeo(_ arguments: String...) throws -> String {
        var arguments = arguments
        let verb = arguments.removeFirst()
        let tls = verb == "copy" ? ["--src-tls-verify=false", "--dest-tls-verify=false"] : ["--tls-verify=false"]
        let login = FileManager.default.fileExists(atPath: authFile) ? ["--authfile", authFile] : []
        return try tool("skopeo", ["--insecure-policy", verb] + tls + login + arguments)
    }

    /// Unpacks an image of a layout with umoci; gives the folder that became the image's root.
    func unpackedByUmoci(_ layout: String, tag: String) throws -> String {
        let bundle = "\(path)/desk/bundle-\(UUID().uuidString)"
        try tool("umoci", ["unpack", "--rootless", "--image", "\(layout):\(tag)", bundle])
        return "\(bundle)/rootfs"
    }
}
