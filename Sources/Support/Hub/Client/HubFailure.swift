internal import HTTP
internal import KapsuleCore

/// What the hub refuses with, for people. The reason is in a header, not in the status.
///
/// Source: huggingface_hub 2.4, `utils/_http.py`, `hf_raise_for_status`.
struct HubFailure {
    let settings: HubSettings
    let repository: String

    /// `huggingface.co`, or whatever stands for it.
    private var hub: String { settings.endpoint.authority }
    private var page: String { "\(HubAddress(endpoint: settings.endpoint, repository: repository).page)" }

    /// - Parameter doing: completes "cannot": `list the files of acme/m`.
    func error(_ response: HTTPResponse, _ doing: String) -> KapsuleError {
        let code = response.headers["X-Error-Code"] ?? ""
        switch (code, response.status) {
        case ("GatedRepo", _): return gated(response.status)
        case ("RepoNotFound", _): return noRepository()
        case ("RevisionNotFound", _):
            return KapsuleError(
                .unavailable, id: "hub.revision-not-found",
                "cannot \(doing): there is no such revision (\(response.status))",
                remedy: "check the revision for a typing mistake")
        case ("EntryNotFound", _):
            return KapsuleError(
                .unavailable, id: "hub.file-not-found",
                "cannot \(doing): the revision has no such file (\(response.status))",
                remedy: "run the command again; if it happens again, the hub's listing is wrong")
        case (_, 401) where isAboutToken(response): return badToken()
        case (_, 401) where settings.token == nil: return noRepository()
        case (_, 401): return badToken()
        case (_, 403) where said(response).contains("disabled"):
            return KapsuleError(
                .unauthorized, id: "hub.disabled", "cannot \(doing): \(repository) is disabled at \(hub) (403)",
                remedy: "see \(page) for why")
        case (_, 403):
            return KapsuleError(
                .unauthorized, id: "hub.denied",
                settings.token.map { "cannot \(doing): the token of \($0.origin) may not do that\(reason(response))" }
                    ?? "cannot \(doing) without a token\(reason(response))",
                remedy: "give a token that may read \(repository): see \(settings.base)/settings/tokens")
        case (_, 404):
            return KapsuleError(
                .unavailable, id: "hub.not-found", "cannot \(doing): \(hub) has nothing there\(reason(response))",
                remedy: "check the name for a typing mistake, and HF_ENDPOINT where it is set")
        case (_, let status) where RetryPolicy.isTransient(status: status):
            return unavailable(response, doing)
        default:
            return KapsuleError(
                .unavailable, id: "hub.refused", "cannot \(doing): \(hub) refuses\(reason(response))",
                remedy: "see what it says; --debug shows the requests")
        }
    }

    /// Worth another try: `isTransientHTTP` holds.
    func unavailable(_ response: HTTPResponse, _ doing: String) -> KapsuleError {
        let isLimited = response.status == 429
        return KapsuleError(
            .unavailable, id: "http.status",
            "cannot \(doing): \(response.url.authority) "
                + (isLimited ? "has had too many requests" : "fails") + reason(response),
            remedy: isLimited && settings.token == nil
                ? "set HF_TOKEN, which allows more requests, or try again later; running the command again resumes"
                : "try again later; running the command again resumes")
    }

    private func gated(_ status: Int) -> KapsuleError {
        guard let token = settings.token else {
            return KapsuleError(
                .unauthorized, id: "hub.gated",
                "\(repository) is gated: its files are only for accounts that accepted its terms, and there is no token",
                remedy: "accept the terms at \(page), then set HF_TOKEN to a token of that account")
        }
        return KapsuleError(
            .unauthorized, id: "hub.gated",
            "\(repository) is gated: the account of the token in \(token.origin) has not been let in (\(status))",
            remedy: "accept the terms at \(page) with that account, or set HF_TOKEN to a token of one that did")
    }

    private func noRepository() -> KapsuleError {
        guard let token = settings.token else {
            return KapsuleError(
                .unauthorized, id: "hub.no-repository",
                "\(hub) shows no model \(repository) without a token: it does not exist, or it is private",
                remedy: "check the name for a typing mistake; for a private model set HF_TOKEN")
        }
        return KapsuleError(
            .unavailable, id: "hub.no-repository",
            "\(hub) shows no model \(repository): it does not exist, or it is private and the token of \(token.origin) "
                + "may not read it",
            remedy: "check the name for a typing mistake, and which account the token is of")
    }

    private func badToken() -> KapsuleError {
        KapsuleError(
            .unauthorized, id: "hub.bad-token",
            "\(hub) does not know the token" + (settings.token.map { " of \($0.origin)" } ?? ""),
            remedy: "make a new one at \(settings.base)/settings/tokens, or remove it: public models need none")
    }

    private func isAboutToken(_ response: HTTPResponse) -> Bool {
        settings.token != nil && said(response).contains("invalid credentials")
    }

    private func said(_ response: HTTPResponse) -> String {
        (response.headers["X-Error-Message"] ?? response.excerpt(limit: 1000)).lowercased()
    }

    /// `: Entry not found (404, request 1-2-3)`.
    private func reason(_ response: HTTPResponse) -> String {
        var words = response.headers["X-Error-Message"].map { Excerpt.of($0, limit: 200) } ?? ""
        if words.isEmpty, let body = try? HubDocument.decode(HubDocument.Failure.self, response.body, what: "") {
            words = Excerpt.of(body.error ?? "", limit: 200)
        }
        let request = response.headers["X-Request-Id"].map { ", request \(Excerpt.of($0, limit: 80))" } ?? ""
        return (words.isEmpty ? "" : ": \(words)") + " (\(response.status)\(request))"
    }
}

extension HubAddress {
    /// For people.
    var page: WebAddress {
        endpoint.replacingTarget((endpoint.path == "/" ? "" : endpoint.path) + "/\(repository)")
    }
}
