/// Sizes in words, for people.
public enum ByteCount {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

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
