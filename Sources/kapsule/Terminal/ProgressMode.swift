/// How progress is shown, as `--progress` and `KAPSULE_PROGRESS` name it.
enum ProgressMode: String, Sendable, CaseIterable {
    /// Bars where a person is looking, else lines.
    case auto
    /// Bars that are redrawn in place.
    case tty
    /// Lines for a log, without escape codes.
    case plain
    /// A JSON object a line, for programs.
    case json
    /// Nothing; messages and errors still come.
    case none

    /// What `auto` means here; any other mode means itself.
    func resolved(isTerminal: Bool, environment: [String: String]) -> ProgressMode {
        guard self == .auto else { return self }
        let ci = environment["CI"] ?? ""
        let isWatched = isTerminal && environment["TERM"] != "dumb" && (ci.isEmpty || ci == "false" || ci == "0")
        return isWatched ? .tty : .plain
    }
}
