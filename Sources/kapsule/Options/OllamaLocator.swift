internal import KapsuleCore
internal import KapsuleIO
internal import ModelfileParser
internal import OCI
internal import Ollama
internal import Store

/// Finds models by the names that Ollama knows them by.
struct OllamaLocator {
    let toolbox: Toolbox
    let registries: RegistrySession
    let allowsPlainHTTP: Bool

    init(_ toolbox: Toolbox, _ registries: RegistrySession, _ flags: RegistryFlags) {
        self.toolbox = toolbox
        self.registries = registries
        allowsPlainHTTP = flags.plainHTTP
    }

    /// What stands behind `ollama:` or `ollama://`; nil for any other word.
    static func name(in text: String) -> String? {
        for prefix in ["ollama://", "ollama:"] where text.hasPrefix(prefix) {
            return String(text.dropFirst(prefix.count))
        }
        return nil
    }

    /// A model of a store on this machine; nil where none has it.
    func stored(_ name: OllamaName) throws -> OllamaOrigin? {
        for store in try OllamaStore.readable(toolbox.environment) {
            if let found = try OllamaOrigin(name, in: store) { return found }
        }
        return nil
    }

    /// A model of a registry. Whether it is there, the first request tells.
    func remote(_ name: OllamaName) throws -> any ImageOrigin {
        if name.scheme == "http", !allowsPlainHTTP, !name.isOnThisMachine {
            throw KapsuleError(
                .usage, id: "ollama.plain-http", "http://\(name.host) would be spoken to without encryption",
                remedy: "write https://, or allow it with --plain-http")
        }
        return RegistryOrigin(name.reference, try registries.client(for: name.reference, access: .pull))
    }

    /// - Parameters:
    ///   - text: `NAME` or `NAME@sha256:…`, which must be what the name stands for.
    ///   - here: whether only this machine is looked at.
    func origin(_ text: String, onlyHere here: Bool) throws -> any ImageOrigin {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = try OllamaName(parsing: parts[0])
        if let found = try stored(name) {
            let digest = try found.root().digest
            guard parts.count == 1 || Digest(parsing: parts[1]) == digest else {
                throw KapsuleError(
                    .unverified, id: "ollama.digest", "\(found.name) is \(digest), not \(parts[1])",
                    remedy:
                        "the name was given to another model since: make that one again, or leave out what is behind @")
            }
            return found
        }
        guard here || parts.count > 1 else { return try remote(name) }
        let places = try OllamaStore.readable(toolbox.environment).map(\.path).joined(separator: " or ")
        throw KapsuleError(
            .usage, id: "ollama.not-found", "there is no model '\(name.short)' in \(places)",
            remedy: try suggestion(name) ?? "'ollama list' says what there is; OLLAMA_MODELS says where to look")
    }

    private func suggestion(_ name: OllamaName) throws -> String? {
        let names = try OllamaStore.readable(toolbox.environment).flatMap { try $0.models().names.map(\.short) }
        return Suggestion.nearest(to: name.short, among: names).map { "did you mean \($0)?" }
    }
}

extension OllamaName {
    fileprivate var isOnThisMachine: Bool {
        let name = host.split(separator: ":").first.map(String.init) ?? host
        return name == "localhost" || name.hasPrefix("127.")
    }
}
