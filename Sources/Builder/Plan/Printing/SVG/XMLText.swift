/// Text inside XML.
enum XMLText {
    /// `text` with what means something to XML escaped, and without what XML 1.0 forbids or a viewer would not show.
    ///
    /// Source: Extensible Markup Language 1.0, section 2.2 (Char) and 2.4.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case "\u{FFFE}", "\u{FFFF}": break
            case _ where scalar.properties.generalCategory == .control: break
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
