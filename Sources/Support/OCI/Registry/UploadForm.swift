internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// In what requests a registry takes the bytes of a blob.
///
/// Source: OCI distribution-spec 1.1, "Pushing blobs".
enum UploadForm: Hashable, Sendable {
    /// One PATCH with everything, then a PUT. What everyone knows; also for bytes whose digest is known at the end.
    case stream
    /// One PUT with everything.
    case whole
    /// PATCH after PATCH of so many bytes, then a PUT: a proxy lets no longer bodies through.
    case chunks(Int64)

    static let longestChunk: Int64 = 64 << 20
    static let shortestChunk: Int64 = 1 << 20

    /// Longest body of one request; nil for any.
    var longestBody: Int64? {
        if case .chunks(let size) = self { return size }
        return nil
    }

    /// What to try after the registry refused a body of `length` bytes. Others may have learned it meanwhile: then it is
    /// what is known already.
    ///
    /// - Returns: nil when the refusal is not about the form.
    func next(after response: HTTPResponse, to method: HTTPMethod, length: Int64) -> UploadForm? {
        let isUnknown =
            [405, 501].contains(response.status) || RegistryFailure.codes(response).contains("UNSUPPORTED")
        if method == .patch, isUnknown { return .whole }
        guard response.status == 413, length > Self.shortestChunk, self != .whole else { return nil }
        if case .chunks(let size) = self, size < length { return self }
        // Far below at once: every try sends the first bytes again.
        return .chunks(max(Self.shortestChunk, min(Self.longestChunk, length / 8)))
    }
}

/// What registries were found to take, kept between runs.
///
///     CACHE/registries/HOST.json    {"upload":"chunks","chunk":33554432}
final class RegistryNotes: Sendable {
    private let directory: String?
    private let forms = Mutex<[String: UploadForm]>([:])

    /// - Parameter cache: nil keeps nothing between runs.
    init(cache: String?) { directory = cache.map { "\($0)/registries" } }

    private struct Wire: Codable {
        let upload: String
        let chunk: Int64?
    }

    func form(for host: String) -> UploadForm {
        forms.withLock { forms in
            if let known = forms[host] { return known }
            let form = read(host) ?? .stream
            forms[host] = form
            return form
        }
    }

    func learn(_ form: UploadForm, of host: String) {
        forms.withLock { $0[host] = form }
        guard let directory else { return }
        let json: JSON =
            switch form {
            case .stream: .members(["upload": .string("stream")])
            case .whole: .members(["upload": .string("whole")])
            case .chunks(let size): .members(["upload": .string("chunks"), "chunk": .int(size)])
            }
        // A note that cannot be kept costs a request the next time.
        try? Directories.make(directory, mode: 0o700)
        try? AtomicFile.write(Array(json.compact.utf8), to: path(host, directory), mode: 0o600)
    }

    private func path(_ host: String, _ directory: String) -> String {
        "\(directory)/\(PercentEncoding.component(host)).json"
    }

    private func read(_ host: String) -> UploadForm? {
        guard let directory, let file = try? OpenFile.reading(path(host, directory), followsLinks: false),
            let bytes = try? FileSource(file, keepsItsName: false).readAll(limit: 4096, what: "a note"),
            let wire = try? JSONDecoder().decode(Wire.self, from: Data(bytes))
        else { return nil }
        switch wire.upload {
        case "whole": return .whole
        case "chunks":
            guard let size = wire.chunk, size >= UploadForm.shortestChunk else { return nil }
            return .chunks(size)
        default: return nil
        }
    }
}
