import Formats
import TestSupport

/// Random trees of several kinds, each looking for another mistake. A number gives the same tree again.
struct Corpus {
    private var random: SeededGenerator
    private var tree = SampleTree()
    private var nameCount = 0
    /// Longest name the formatter takes.
    private let longestName: Int

    static func tree(_ number: Int, longestName: Int = 254) -> SampleTree {
        var corpus = Corpus(number, longestName)
        switch number % 8 {
        case 0: corpus.boundaries()
        case 1: corpus.manySmallFiles(upTo: 600)
        case 2: corpus.deep()
        case 3: corpus.mixture(items: 120)
        case 4: corpus.longNames()
        case 5: corpus.fullDirectories()
        case 6: corpus.mixture(items: 12)
        default: number % 64 == 7 ? corpus.manySmallFiles(upTo: 5000) : corpus.mixture(items: 300)
        }
        return corpus.tree
    }

    private init(_ number: Int, _ longestName: Int) {
        random = SeededGenerator(seed: UInt64(number) &* 0x9E37_79B9 &+ 1)
        self.longestName = longestName
    }

    /// Sizes next to multiples of a block and to the largest tail beside an inode (4096 - 32).
    private mutating func boundarySize() -> Int {
        let anchors = [0, 32, 2912, 2944, 4000, 4032, 4064, 4096, 8160, 8192, 3 * 4096, 17 * 4096]
        return max(
            0, anchors[Int.random(in: 0..<anchors.count, using: &random)] + Int.random(in: -34...34, using: &random))
    }

    private mutating func anySize() -> Int {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: 0
        case 1...3: boundarySize()
        case 4...7: Int.random(in: 0...4200, using: &random)
        case 8: Int.random(in: 0...70000, using: &random)
        default: Int.random(in: 0...40, using: &random)
        }
    }

    private mutating func name(_ length: Int? = nil) -> [UInt8] {
        nameCount += 1
        let starts = ["", "!", "+", "-", "_", ".", "..", "Z", "ä", "模型", "\u{7f}", " ", "~", "lost", "\n"]
        let start = Array(starts[Int.random(in: 0..<starts.count, using: &random)].utf8)
        // The counter makes a name unique; random bytes vary the order.
        var name = start + random.bytes(2).flatMap { Array("\($0)".utf8) } + Array("-\(nameCount)".utf8)
        if let length {
            while name.count < length { name.append(UInt8(ascii: "a") + UInt8(name.count % 26)) }
            name.removeLast(max(0, name.count - length))
        }
        return name
    }

    private mutating func permissions() -> UInt16? {
        [nil, nil, nil, 0o755, 0o600, 0o4755, 0o1777][Int.random(in: 0..<7, using: &random)]
    }

    private mutating func boundaries() {
        for _ in 0..<Int.random(in: 1...60, using: &random) {
            tree.add(name(), .file(random.bytes(boundarySize())))
        }
    }

    private mutating func manySmallFiles(upTo limit: Int) {
        let directory = Bool.random(using: &random) ? nil : tree.add(name(), .directory)
        for _ in 0..<Int.random(in: 1...limit, using: &random) {
            let size = Int.random(in: 0..<20, using: &random) == 0 ? anySize() : Int.random(in: 0...120, using: &random)
            tree.add(name(), in: directory, .file(random.bytes(size)))
        }
    }

    private mutating func deep() {
        var parent: Int?
        for _ in 0..<Int.random(in: 2...120, using: &random) {
            parent = tree.add(name(8), in: parent, .directory)
            if Bool.random(using: &random) { tree.add(name(), in: parent, .file(random.bytes(anySize()))) }
        }
    }

    /// Everything at once.
    private mutating func mixture(items: Int) {
        var directories: [Int?] = [nil]
        var files: [Int] = []
        tree.rootPermissions = permissions() ?? 0o755
        for _ in 0..<items {
            let parent = directories[Int.random(in: 0..<directories.count, using: &random)]
            switch Int.random(in: 0..<20, using: &random) {
            case 0...3: directories.append(tree.add(name(), in: parent, .directory, permissions: permissions()))
            case 4...5:
                let length = [1, 10, 100, 3000, 4064, 4065, 4090][Int.random(in: 0..<7, using: &random)]
                tree.add(name(), in: parent, .link(random.bytes(length).map { $0 % 26 + 97 }))
            case 6...7 where !files.isEmpty:
                tree.add(name(), in: parent, .hardLink(files[Int.random(in: 0..<files.count, using: &random)]))
            case 8: files.append(tree.add(name(), in: parent, .pipe))
            default:
                files.append(
                    tree.add(name(), in: parent, .file(random.bytes(anySize())), permissions: permissions()))
            }
        }
    }

    private mutating func longNames() {
        for _ in 0..<Int.random(in: 1...80, using: &random) {
            let length = [longestName, longestName - 1, 200, 100][Int.random(in: 0..<4, using: &random)]
            tree.add(name(length), .file(random.bytes(Int.random(in: 0...300, using: &random))))
        }
    }

    /// Directories whose entries end near the end of a block.
    private mutating func fullDirectories() {
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let parent = tree.add(name(), .directory)
            let blocks = Int.random(in: 0...2, using: &random)
            // `.` and `..` cost 27 bytes; an entry of a 52-byte name costs 64.
            let entries = max(0, blocks * 64 + Int.random(in: -2...3, using: &random) + 62)
            for _ in 0..<entries { tree.add(name(52), in: parent, .file([])) }
            tree.add(name(Int.random(in: 12...60, using: &random)), in: parent, .file(random.bytes(anySize())))
        }
    }
}
