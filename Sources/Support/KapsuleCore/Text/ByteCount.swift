/// Sizes in words, for people.
public enum ByteCount {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

    /// Reads `5GiB`, `5G`, `500MB`, `1048576`. `K`, `M`, `G`, `T` count in 1024s, as `KiB` and the rest do; `KB` and the rest
    /// in 1000s.
    ///
    /// - Returns: nil for anything else, and for what does not fit.
    public static func parse(_ text: String) -> Int64? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let number = Int64(digits) else { return nil }
        let unit = text.dropFirst(digits.count).uppercased()
        guard let letter = unit.first else { return number }
        if unit == "B" { return number }
        guard let power = "KMGT".firstIndex(of: letter).map({ "KMGT".distance(from: "KMGT".startIndex, to: $0) + 1 }),
            ["", "IB", "B"].contains(unit.dropFirst())
        else { return nil }
        let base: Int64 = unit.hasSuffix("B") && !unit.hasSuffix("IB") ? 1000 : 1024
        var result = number
        for _ in 0..<power {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            guard !overflow else { return nil }
            result = product
        }
        return result
    }

    /// `0 B`, `999 B`, `1.0 KiB`, `14.9 GiB`: one decimal from KiB on, rounded half up, never `1024.0`.
    public static func text(_ bytes: Int64) -> String {
        guard bytes >= 1024 else { return "\(bytes) B" }
        var unit = 0
        var scale: Int64 = 1
        while unit + 1 < units.count, bytes / scale >= 1024 {
            scale *= 1024
            unit += 1
        }
        var tenths = tenths(of: bytes, in: scale)
        if tenths >= 10240, unit + 1 < units.count {
            unit += 1
            tenths = 10
        }
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// `bytes / scale` in tenths, rounded half up; scales above a KiB are cut first, so nothing overflows.
    private static func tenths(of bytes: Int64, in scale: Int64) -> Int64 {
        let whole = bytes / scale
        let rest = bytes % scale
        return whole * 10 + (rest / max(1, scale / 1024) * 10 * 2 + 1024) / 2048
    }
}
