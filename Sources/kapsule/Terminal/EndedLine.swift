import KapsuleCore

/// What stays of an activity when it has ended.
enum EndedLine {
    /// `✓ model.safetensors  988.0 MiB in 2.1 s`, `✓ config.json  cached`, `✗ model.safetensors  the reason`.
    static func styled(
        _ activity: ActivityBoard.Running, _ outcome: ActivityOutcome, at now: Duration, _ style: TerminalStyle
    ) -> String {
        let mark =
            switch outcome {
            case .succeeded, .skipped: style.green("✓")
            case .failed: style.red("✗")
            }
        return "\(mark) \(activity.title)  \(style.dim(detail(activity, outcome, at: now)))"
    }

    /// `model.safetensors: done, 988.0 MiB in 2.1 s`.
    static func plain(_ activity: ActivityBoard.Running, _ outcome: ActivityOutcome, at now: Duration) -> String {
        let word =
            switch outcome {
            case .succeeded: "done, "
            case .skipped: ""
            case .failed: "failed: "
            }
        return "\(activity.title): \(word)\(detail(activity, outcome, at: now))"
    }

    private static func detail(
        _ activity: ActivityBoard.Running, _ outcome: ActivityOutcome, at now: Duration
    ) -> String {
        switch outcome {
        case .succeeded:
            let time = DurationText.spent(now - activity.began)
            return activity.done == 0 && activity.total == nil ? time : "\(ByteCount.text(activity.done)) in \(time)"
        case .skipped: return "cached"
        case .failed(let error): return Printable.text(error.message)
        }
    }
}
