internal import FoundationEssentials
internal import HTTP
internal import KapsuleCore

/// What registries refuse with, for people.
///
/// Source: OCI distribution-spec 1.1, "Error Codes".
enum RegistryFailure {
    /// `MANIFEST_UNKNOWN: manifest unknown (404)`; shortened, whatever the server sent.
    static func reason(_ response: HTTPResponse) -> String {
        let status = "(\(response.status))"
        if let error = errors(response).first {
            let text = [error.code, error.message].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ": ")
            if !text.isEmpty { return "\(Excerpt.of(text, limit: 200)) \(status)" }
        }
        let excerpt = response.mediaType == "text/html" ? "" : response.excerpt()
        return excerpt.isEmpty ? "status \(response.status)" : "\(excerpt) \(status)"
    }

    /// The codes of an answer: `MANIFEST_UNKNOWN`.
    static func codes(_ response: HTTPResponse) -> [String] { errors(response).compactMap(\.code) }

    private static func errors(_ response: HTTPResponse) -> [Wire.Entry] {
        guard response.body.first == UInt8(ascii: "{") else { return [] }
        return (try? JSONDecoder().decode(Wire.self, from: Data(response.body)))?.errors ?? []
    }

    /// `detail` may be anything, and is not looked at.
    private struct Wire: Decodable {
        struct Entry: Decodable {
            let code: String?
            let message: String?
        }
        let errors: [Entry]?
    }

    /// Worth another try: `isTransientHTTP` holds.
    static func unavailable(_ response: HTTPResponse, _ registry: String, _ doing: String) -> KapsuleError {
        let quota = response.status == 429 ? quota(response) : nil
        return KapsuleError(
            .unavailable, id: "http.status",
            "\(registry) failed \(doing): \(reason(response))" + (quota.map { "; \($0)" } ?? ""),
            remedy: quota == nil
                ? "try again later; running the command again resumes"
                : "try again later, or run 'kapsule login \(registry)': accounts have more; running the command again "
                    + "resumes")
    }

    /// `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 0;w=21600`, in words.
    ///
    /// Source: Docker, "Docker Hub usage and limits".
    private static func quota(_ response: HTTPResponse) -> String? {
        func number(_ text: some StringProtocol) -> Int64? {
            text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
        }
        guard let limit = response.headers["ratelimit-limit"]?.split(separator: ";"), let first = limit.first,
            let most = number(first)
        else { return nil }
        let window = limit.dropFirst().first { $0.hasPrefix("w=") }.flatMap { number($0.dropFirst(2)) }
        let left = response.headers["ratelimit-remaining"]?.split(separator: ";").first.flatMap { number($0) }
        return "\(left.map { "\($0)" } ?? "none") left of \(most) pulls"
            + (window.map { " in \($0 / 3600) hours" } ?? "")
    }

    /// The token or password did not do. `doing` completes "may not": `push acme/m`.
    static func unauthorized(
        _ response: HTTPResponse, _ registry: String, _ doing: String, isLoggedIn: Bool
    ) -> KapsuleError {
        KapsuleError(
            .unauthorized, id: response.status == 403 ? "registry.denied" : "registry.unauthorized",
            isLoggedIn
                ? "\(registry) does not let this login \(doing): \(reason(response))"
                : "\(registry) does not let anyone \(doing) without a login: \(reason(response))",
            remedy: isLoggedIn
                ? "run 'kapsule login \(registry)' with an account that may do this"
                : "run 'kapsule login \(registry)'")
    }

    /// Any answer that no caller expected.
    static func refused(
        _ response: HTTPResponse, _ registry: String, _ doing: String, isLoggedIn: Bool
    ) -> KapsuleError {
        switch response.status {
        case 401, 403: unauthorized(response, registry, doing, isLoggedIn: isLoggedIn)
        case 404:
            KapsuleError(
                .unavailable, id: "registry.not-found", "\(registry) cannot \(doing): \(reason(response))",
                remedy: "check the name for a typing mistake; some registries also say this without a login")
        case 413:
            KapsuleError(
                .usage, id: "registry.too-large", "\(registry) cannot \(doing): it is too large (413)",
                remedy: "split it, or raise the limit of the registry or of the proxy before it")
        case let status where RetryPolicy.isTransient(status: status):
            unavailable(response, registry, "to \(doing)")
        default:
            KapsuleError(
                .unavailable, id: "registry.refused", "\(registry) cannot \(doing): \(reason(response))",
                remedy: "see what the registry says; --debug shows the requests")
        }
    }
}
