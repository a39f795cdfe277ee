/// What the layers so far put below the target. Only what is in here is ours to replace or remove.
struct UnpackTree {
    enum Kind { case directory, file, link }

    private var kinds: [String: Kind] = [:]
    private var children: [String: Set<String>] = [:]

    var count: Int { kinds.count }

    subscript(path: String) -> Kind? { kinds[path] }

    mutating func insert(_ path: String, _ kind: Kind) {
        kinds[path] = kind
        children[Self.parent(path), default: []].insert(path)
    }

    mutating func remove(_ path: String) {
        kinds[path] = nil
        children[Self.parent(path)]?.remove(path)
    }

    /// Everything below `path`, the deepest first; `path` itself is not in it. The empty path is the target.
    func descendants(of path: String) -> [String] {
        var found: [String] = []
        var waiting = Array(children[path] ?? [])
        while let next = waiting.popLast() {
            found.append(next)
            waiting += children[next] ?? []
        }
        return found.reversed()
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }
}
