internal import HTTP

/// What somebody wrote, inside a message.
enum Quoted {
    /// `'main'`: one line without control characters, cut where it is long.
    static func text(_ text: String, limit: Int) -> String { "'\(Excerpt.of(text, limit: limit))'" }
}
