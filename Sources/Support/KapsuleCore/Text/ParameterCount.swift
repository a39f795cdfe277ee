/// How many numbers a model is made of, in words.
public enum ParameterCount {
    /// As Ollama prints it: `999`, `2K`, `134.52M`, `8.0B`, `7B`.
    ///
    /// Rounded as C's `printf` rounds, without a carry into the next unit.
    ///
    /// Source: Ollama `format/format.go`, HumanNumber; observed.
    public static func text(_ count: Int64) -> String {
        switch count {
        case 1_000_000_000...: text(count, per: 1e9, decimals: 1, "B")
        case 1_000_000...: text(count, per: 1e6, decimals: 2, "M")
        case 1000...: rounded(Double(count) / 1e3, decimals: 0) + "K"
        default: String(count)
        }
    }

    private static func text(_ count: Int64, per unit: Double, decimals: Int, _ letter: String) -> String {
        let number = Double(count) / unit
        return rounded(number, decimals: number == number.rounded(.down) ? 0 : decimals) + letter
    }

    /// `%.Nf`: the decimal nearest to the number as the machine has it, and of two the even one.
    private static func rounded(_ number: Double, decimals: Int) -> String {
        let scale = [1.0, 10, 100][decimals]
        var units = (number * scale).rounded(.down)
        // The product was rounded; what is left over is worked out exactly.
        var rest = (-units).addingProduct(number, scale)
        if rest < 0 { (units, rest) = (units - 1, rest + 1) }
        if rest > 0.5 || (rest == 0.5 && units.truncatingRemainder(dividingBy: 2) != 0) { units += 1 }
        let digits = String(Int64(units))
        guard decimals > 0 else { return digits }
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return "\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
    }
}
