import KapsuleCore

/// A JSON object a line, for programs that show progress themselves.
///
/// ```
/// {"event":"began","id":1,"title":"model.safetensors","done":0,"total":1036000000}
/// {"event":"progress","id":1,"title":"model.safetensors","done":412300000,"total":1036000000}
/// {"event":"ended","id":1,"title":"model.safetensors","done":1036000000,"total":1036000000,"outcome":"succeeded"}
/// {"event":"log","level":"warning","message":"…"}
/// ```
struct JSONDisplay: ProgressDisplay {
    private static let interval = Duration.milliseconds(500)

    private var board = ActivityBoard()
    /// When and at how many bytes each activity was last spoken of, by its number.
    private var told: [Int64: (at: Duration, done: Int64)] = [:]

    mutating func update(_ events: [ProgressEvent], at now: Duration, columns: Int, rows: Int) -> String {
        var lines = events.compactMap { take($0) }
        board.look(at: now)
        for running in board.running {
            guard let last = told[running.id], running.done > last.done, now - last.at >= Self.interval else {
                continue
            }
            told[running.id] = (now, running.done)
            lines.append(Self.object("progress", running))
        }
        return lines.map { Printable.json($0) + "\n" }.joined()
    }

    func finish() -> String { "" }

    private mutating func take(_ event: ProgressEvent) -> JSON? {
        switch event {
        case .began(let activity, let now):
            let new = board.began(activity, at: now)
            told[new.id] = (now, 0)
            return Self.object("began", new)
        case .ended(let activity, let outcome, let now):
            guard let old = board.ended(activity, outcome, at: now) else { return nil }
            told[old.id] = nil
            return Self.object("ended", old, outcome)
        case .expected(let bytes, let activities):
            return .members([
                "event": "expected", "activities": .int(Int64(activities)), "total": .int(bytes),
            ])
        case .message(let level, let text):
            return .members([
                "event": "log", "level": .string(level.isEmpty ? "notice" : level), "message": .string(text),
            ])
        }
    }

    private static func object(
        _ event: String, _ activity: ActivityBoard.Running, _ outcome: ActivityOutcome? = nil
    ) -> JSON {
        let (word, error): (String?, KapsuleError?) =
            switch outcome {
            case nil: (nil, nil)
            case .succeeded: ("succeeded", nil)
            case .skipped: ("skipped", nil)
            case .failed(let error): ("failed", error)
            }
        return .members([
            "event": .string(event), "id": .int(activity.id), "title": .string(activity.activity.title),
            "done": .int(activity.done), "total": activity.total.map(JSON.int) ?? .null,
            "outcome": word.map(JSON.string), "error": (error?.id).map(JSON.string),
            "message": (error?.message).map(JSON.string),
        ])
    }
}
