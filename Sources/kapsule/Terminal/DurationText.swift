/// Times in words, for people.
enum DurationText {
    /// `0.4 s`, `59.9 s`, `1 min 05 s`, `2 h 03 min`.
    static func spent(_ duration: Duration) -> String {
        let tenths = Int64(max(0, duration.inSeconds) * 10 + 0.5)
        let seconds = tenths / 10
        if tenths < 600 { return "\(seconds).\(tenths % 10) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(two(seconds % 60)) s" }
        return "\(seconds / 3600) h \(two(seconds / 60 % 60)) min"
    }

    /// `0:07`, `12:34`, `1:02:03`; nil from four days on, which is no estimate any more.
    static func left(seconds: Double) -> String? {
        guard seconds >= 0, seconds < 100 * 3600 else { return nil }
        let seconds = Int64(seconds + 0.5)
        let tail = "\(two(seconds % 60))"
        guard seconds >= 3600 else { return "\(seconds / 60):\(tail)" }
        return "\(seconds / 3600):\(two(seconds / 60 % 60)):\(tail)"
    }

    private static func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
