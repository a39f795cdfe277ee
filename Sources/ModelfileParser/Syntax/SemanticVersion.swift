/// Checks versions as REQUIRES takes them.
enum SemanticVersion {
    /// `text` without its `v`; nil unless it is `MAJOR[.MINOR[.PATCH[-PRERELEASE][+BUILD]]]`.
    ///
    /// Source: Go `golang.org/x/mod/semver`, `parse`.
    static func normalised(_ text: String) -> String? {
        let version = text.hasPrefix("v") ? text.dropFirst() : text[...]
        let build = version.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        let release = build[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = release[0].split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count <= 3, numbers.allSatisfy(isNumber) else { return nil }
        let hasTail = build.count > 1 || release.count > 1
        guard !hasTail || numbers.count == 3 else { return nil }
        guard release.count == 1 || identifiers(release[1]).allSatisfy({ isIdentifier($0) && !hasLeadingZero($0) })
        else { return nil }
        guard build.count == 1 || identifiers(build[1]).allSatisfy(isIdentifier) else { return nil }
        return String(version)
    }

    private static func identifiers(_ text: Substring) -> [Substring] {
        text.split(separator: ".", omittingEmptySubsequences: false)
    }

    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(CharacterClass.isDigit) && !hasLeadingZero(text)
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                CharacterClass.isDigit($0) || CharacterClass.isLetter($0) || $0 == UInt8(ascii: "-")
            }
    }

    private static func hasLeadingZero(_ text: Substring) -> Bool {
        text.utf8.count > 1 && text.utf8.first == UInt8(ascii: "0") && text.utf8.allSatisfy(CharacterClass.isDigit)
    }
}
