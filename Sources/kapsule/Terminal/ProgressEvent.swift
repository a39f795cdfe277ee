import KapsuleCore

/// What the renderer's thread is told. Times are since the renderer began.
enum ProgressEvent: Sendable {
    case began(Activity, at: Duration)
    case ended(Activity, ActivityOutcome, at: Duration)
    /// How much is to come in all, as far as the plan knows.
    case expected(bytes: Int64, activities: Int)
    /// Something to be read, above what is running: without its newline, with nothing in it that is not meant.
    case message(level: String, String)
}

/// One form of showing progress. A value: told what happened and what time it is, it answers with what to write.
protocol ProgressDisplay: Sendable {
    mutating func update(_ events: [ProgressEvent], at now: Duration, columns: Int, rows: Int) -> String
    /// The last that is written: takes back what was not meant to stay.
    mutating func finish() -> String
}
