internal import KapsuleCore

/// What git fails with, for people.
struct GitFailure {
    /// As FROM names the repository, without a revision.
    let url: String

    /// - Parameter doing: completes "cannot": `list the branches of https://host/repo`.
    func error(_ errors: String, _ doing: String) -> KapsuleError {
        let said = errors.lowercased()
        func says(_ words: String...) -> Bool { words.contains(where: said.contains) }
        if says(
            "authentication failed", "could not read username", "could not read password", "error: 403", "error: 401")
        {
            return KapsuleError(
                .unauthorized, id: "git.unauthorized",
                "cannot \(doing): the server wants a login that it accepts\(words(errors))",
                remedy: "set GIT_PAT to a token that may read the repository, or store one with git's credential helper"
            )
        }
        if says("dubious ownership") {
            return KapsuleError(
                .usage, id: "git.ownership", "cannot \(doing): it belongs to another user, and git does not trust it",
                remedy: "if you do, say so: git config --global --add safe.directory PATH")
        }
        if says("not found", "does not exist", "does not appear to be a git repository", "not a git repository") {
            return KapsuleError(
                .unavailable, id: "git.no-repository",
                "cannot \(doing): there is no git repository, or it is private\(words(errors))",
                remedy: "check the address for a typing mistake; for a private repository set GIT_PAT")
        }
        return KapsuleError(
            .unavailable, id: "git.failed", "cannot \(doing)\(words(errors))",
            remedy: "try the same with git ls-remote \(url)")
    }

    /// The first line that says what is wrong.
    private func words(_ errors: String) -> String {
        let lines = errors.split(whereSeparator: \.isNewline).map(String.init)
        let telling = lines.first { $0.hasPrefix("fatal: ") || $0.hasPrefix("remote: ") || $0.hasPrefix("error: ") }
        guard let line = telling ?? lines.last else { return "" }
        return ": " + line.prefix(300).filter { !$0.isNewline && $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } }
    }
}
