internal import KapsuleCore

/// Names of a group in little room, told apart even so.
///
/// A hundred shards differ in one number. Where cutting the middle out of the names would leave several alike, the
/// front that all share goes instead: `…00007-of-00163.saf…`.
struct CellLabels {
    let texts: [String]

    init(_ names: [String], columns: Int) {
        let whole = names.map { DisplayWidth.elided($0, to: columns) }
        guard Set(whole).count < Set(names).count else {
            texts = whole
            return
        }
        let shared = Self.sharedPrefix(names)
        texts = names.map { name in
            let rest = String(name.dropFirst(shared))
            return DisplayWidth.elided(shared > 1 ? "…" + rest : rest, to: columns)
        }
    }

    /// Characters that all names begin with, up to the last separator.
    private static func sharedPrefix(_ names: [String]) -> Int {
        guard var shared = names.first.map(Array.init) else { return 0 }
        for name in names {
            shared = Array(zip(shared, name).prefix { $0 == $1 }.map(\.0))
        }
        return (shared.lastIndex { !$0.isLetter && !$0.isNumber } ?? -1) + 1
    }
}
