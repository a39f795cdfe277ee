import Builder
import KapsuleCore
import KapsuleCrypto

/// Plans to print, made by the planner from bundles whose bytes nobody reads.
enum PlanSamples {
    /// An output that is asked nothing but what it foresees.
    private struct Session: ExportSession {
        let name: String
        let present: [Artifact?]

        var size: Int64 { 0 }
        var directory: String? { nil }
        func foresee(lane index: Int) -> Foresight { present[index].map(Foresight.present) ?? .reads }
        func open(lane index: Int) throws -> (any LaneSink)? { nil }
        func commit(_ files: [Artifact?]) throws -> ExportReceipt { fatalError("a plan commits nothing") }
    }

    struct File {
        let path: String
        let size: Int64
        var isCached = false
    }

    static let oci = "oci → localhost:5000/acme/model:1"

    /// Every file a lane of its own; those that begin with `small/` share the first one.
    static func plan(
        _ files: [File], from references: [String] = ["hf://acme/model@4e20de3"], to outputs: [String] = [oci]
    ) throws -> Plan {
        let files = try files.map { (try BundlePath(validating: $0.path), $0) }.sorted { $0.0 < $1.0 }
        let small = files.indices.filter { files[$0].1.path.hasPrefix("small/") }
        let large = files.indices.filter { !small.contains($0) }
        let lanes = (small.isEmpty ? [] : [ModelBundle.Lane(files: small)]) + large.map { .init(files: [$0]) }
        let bundle = ModelBundle(
            identity: "model@1", card: ModelCard(), modelfile: Array("FROM .\n".utf8), origin: Origin(),
            files: files.map { path, file in
                ModelBundle.File(path: path, role: .weights, source: ZeroSource(size: file.size))
            },
            lanes: lanes)
        let present = lanes.map { lane in
            files[lane.files[0]].1.isCached
                ? Artifact(digest: Digest.of(Array("known".utf8)), size: 1) : nil
        }
        let sources = references.enumerated().map { index, reference in
            PinnedSource(
                reference: reference, revision: "4e20de3abc1209f4c3f1d2a6b8e7c5d40f112233",
                files: Set(files.indices.filter { $0 % references.count == index }.map { files[$0].0 }),
                span: SourceSpan(file: "Modelfile", line: index + 1, column: 6, length: 4))
        }
        return Planner.plan(bundle, from: sources, to: outputs.map { Session(name: $0, present: present) })
    }

    static func shards(_ count: Int, cachedEvery step: Int = 0) -> [File] {
        func five(_ number: Int) -> String { String(String(100_000 + number).dropFirst()) }
        return (1...count).map {
            File(
                path: "model-\(five($0))-of-\(five(count)).safetensors", size: 4_999_000_000 + Int64($0),
                isCached: step > 0 && $0 % step == 0)
        }
    }

    static let configs = ["config.json", "tokenizer.json", "tokenizer_config.json"].map {
        File(path: "small/\($0)", size: 1200)
    }

    /// Names that mean something to one format or another.
    static let hostile = [
        "a\nb.bin", "back\\slash\\n.bin", "esc\u{1b}[31mred.bin", "1. list.bin", "end", "- dash",
        #"quo"te'`tick.bin"#, "<b>&amp;#35;</b>.bin", "style: #1; %%{init}%%|]).bin", "x\"] --> y[\"z",
        "模型-权重.safetensors", "émile-👩‍🚀-🇫🇷.gguf", "\u{202e}reversed\u{9b}31m.bin", "$$x$$ {N} \\N \\l",
    ].map { File(path: $0, size: 20_000_000) }
}
