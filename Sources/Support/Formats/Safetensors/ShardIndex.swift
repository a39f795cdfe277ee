public import KapsuleCore

/// Which file of a split model holds which tensor: `model.safetensors.index.json`, `pytorch_model.bin.index.json`.
///
/// Source: huggingface_hub `serialization/_torch.py`.
public struct ShardIndex: Sendable {
    /// Longest index that is read, in bytes.
    public static let limit: Int64 = 100_000_000

    /// Sum of all tensors' sizes, in bytes; nil where the index does not say it.
    public let totalSize: UInt64?
    /// Names of the files, beside the index, ascending.
    public let shards: [String]
    /// Tensors, in the order of the index; each with the place of its file in `shards`.
    public let tensors: [(name: String, shard: Int)]

    /// Whether a file is one, by its name.
    public static func isOne(_ name: String) -> Bool {
        name.hasSuffix(".safetensors.index.json") || name.hasSuffix(".bin.index.json")
    }

    /// - Throws: `.unverified` for what is no index.
    public init(reading source: any ByteSource, what: String) throws {
        var scanner = try JSONScanner(document: source, what: what, limit: Self.limit)
        func refuse(_ id: String, _ why: String) -> KapsuleError {
            KapsuleError(
                .unverified, id: "index.\(id)", "\(what) \(why)", remedy: "the file is damaged: fetch it again")
        }
        guard try scanner.kind() == .object else { throw refuse("no-object", "is no JSON object") }
        var map: [(name: String, shard: Int)]?
        var names: [String] = []
        var total: UInt64?
        try scanner.object { member, scanner in
            switch member {
            case "metadata" where try scanner.kind() == .object: total = try Self.totalSize(&scanner)
            case "weight_map":
                guard try scanner.kind() == .object else {
                    throw refuse("weight-map", "has a weight_map that is no object")
                }
                guard map == nil else { throw refuse("duplicate", "has weight_map twice") }
                var places = Places()
                try scanner.object { tensor, scanner in
                    guard try scanner.kind() == .string else {
                        throw refuse("weight-map", "gives no file for tensor '\(Printable.text(tensor.prefix(100)))'")
                    }
                    guard places.add(tensor, in: try scanner.string(limit: 4096)) else {
                        throw refuse(
                            "limit", "names more than \(ByteCount.text(Int64(Safetensors.Limit.kept))) of tensors")
                    }
                }
                (map, names) = (places.tensors, places.names)
            default: try scanner.skip()
            }
        }
        try scanner.finish()
        guard let map else { throw refuse("no-weight-map", "has no weight_map") }
        let order = names.indices.sorted { names[$0].utf8.lexicographicallyPrecedes(names[$1].utf8) }
        var rank = [Int](repeating: 0, count: names.count)
        for (place, index) in order.enumerated() { rank[index] = place }
        totalSize = total
        shards = order.map { names[$0] }
        tensors = map.map { ($0.name, rank[$0.shard]) }
    }

    private static func totalSize(_ scanner: inout JSONScanner) throws -> UInt64? {
        var total: UInt64?
        try scanner.object { member, scanner in
            if member == "total_size" { total = try scanner.unsigned() } else { try scanner.skip() }
        }
        return total
    }

    private struct Places {
        var tensors: [(name: String, shard: Int)] = []
        var names: [String] = []
        private var byName: [String: Int] = [:]
        private var kept = 0

        /// False when that is too much to keep.
        mutating func add(_ tensor: String, in file: String) -> Bool {
            let shard = byName[file] ?? names.count
            if shard == names.count {
                names.append(file)
                byName[file] = shard
                kept += file.utf8.count + 128
            }
            tensors.append((tensor, shard))
            kept += tensor.utf8.count + 64
            return kept <= Safetensors.Limit.kept
        }
    }
}
