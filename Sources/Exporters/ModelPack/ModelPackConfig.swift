internal import KapsuleCore
internal import OCI

/// What a ModelPack says of its model: its config.
///
/// Source: github.com/modelpack/model-spec, docs/config.md and schema/config-schema.json, which allows no other members.
struct ModelPackConfig {
    private let bundle: ModelBundle
    private let facts: ModelFacts
    private let created: String?

    /// - Throws: what the sources throw. Weights whose headers are damaged say nothing of themselves.
    init(_ bundle: ModelBundle, _ options: ImageExporter.Options) throws {
        self.bundle = bundle
        created = options.created
        do {
            facts = try bundle.facts()
        } catch let error as KapsuleError where error.code == .unverified {
            facts = ModelFacts()
        }
    }

    /// - Parameter diffIDs: digests of the uncompressed layers in plaintext, in the order of the manifest.
    func encoded(diffIDs: [Digest]) -> [UInt8] {
        Array(
            JSON.members([
                "descriptor": descriptor,
                "modelfs": .members([
                    "type": "layers", "diffIds": .array(diffIDs.map { .string($0.description) }),
                ]),
                "config": config,
            ]).compact.utf8)
    }

    /// What a config says of the layers; nothing where it says it wrongly.
    static func diffIDs(_ bytes: [UInt8], what: String) throws -> [Digest] {
        guard case .object(let members) = try JSON.decode(bytes, what: what),
            case .object(let files)? = members.first(where: { $0.name == "modelfs" })?.value,
            case .array(let listed)? = files.first(where: { $0.name == "diffIds" })?.value
        else { return [] }
        return listed.compactMap { value in
            guard case .string(let text) = value else { return nil }
            return Digest(parsing: text)
        }
    }

    private var descriptor: JSON {
        func text(_ value: String?) -> JSON? { value.flatMap { $0.isEmpty ? nil : .string($0) } }
        let license = bundle.origin.licenses ?? facts.license
        return .members([
            "createdAt": text(created), "family": text(facts.family),
            "name": text(bundle.origin.title ?? facts.name), "sourceURL": text(bundle.origin.url),
            "revision": text(bundle.origin.revision), "licenses": license.map { .array([.string($0)]) },
            "title": text(bundle.origin.title),
        ])
    }

    private var config: JSON {
        .members([
            "architecture": facts.architecture.map(JSON.string), "format": facts.format.map { .string($0.rawValue) },
            "paramSize": facts.parameters.flatMap(Self.parameterSize).map(JSON.string),
            "precision": precision.map(JSON.string), "quantization": facts.quantisation.map(JSON.string),
        ])
    }

    private static let precisions: Set<String> = [
        "float16", "float32", "float64", "bfloat16", "float8_e4m3", "float8_e5m2", "complex32", "complex64",
        "complex128", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
    ]

    private var precision: String? {
        let known = facts.precisions.filter(Self.precisions.contains)
        return known.isEmpty ? nil : known.joined(separator: ",")
    }

    /// `7.2B`: at most one digit after the point; nil for fewer than a thousand.
    static func parameterSize(_ count: Int64) -> String? {
        let units: [(Int64, String)] = [
            (1_000_000_000_000_000, "Q"), (1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"),
            (1000, "K"),
        ]
        guard let (unit, letter) = units.first(where: { count >= $0.0 }) else { return nil }
        // Cut rather than rounded: 999,999 is no 1000.0K.
        let tenths = count / (unit / 10)
        return tenths % 10 == 0 ? "\(tenths / 10)\(letter)" : "\(tenths / 10).\(tenths % 10)\(letter)"
    }
}
