internal import FoundationEssentials
public import KapsuleCore
internal import ModelfileParser

/// The parameters of a model: a JSON object, typed, ascending by name.
///
/// Source: Ollama `server/create.go`, setParameters; `api/types.go`, FormatParams; observed.
public enum OllamaParameters {
    /// A line of compact JSON; nil without parameters, for there is no layer then.
    ///
    /// - Throws: `.usage` for a value that its parameter cannot take.
    public static func bytes(of parameters: [ModelCard.Parameter]) throws -> [UInt8]? {
        guard !parameters.isEmpty else { return nil }
        var values: [String: [String]] = [:]
        for parameter in parameters { values[parameter.name, default: []].append(parameter.value) }
        let names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return GoJSON.object(try names.map { ($0, try value(of: $0, values[$0] ?? [])) }).line
    }

    private static func value(of name: String, _ texts: [String]) throws -> GoJSON {
        let last = texts.last ?? ""
        let kind = ParameterDefinition.named(name)?.kind
        let value: GoJSON? =
            switch kind {
            case .texts: .array(texts.map(GoJSON.string))
            case .integer: Int64(last).map(GoJSON.integer)
            case .float: Double(last).flatMap { $0.isFinite ? .number($0) : nil }
            case .boolean: ["true": true, "false": false][last].map(GoJSON.bool)
            case nil: nil
            }
        guard let value else {
            throw KapsuleError(
                .usage, id: "ollama.parameter", "Ollama has no parameter '\(name)' with the value '\(last)'",
                remedy: "take the line PARAMETER \(name) out of the Modelfile")
        }
        return value
    }

    /// What a params blob says, with what Ollama would pass by itself: parameters it does not know, or no longer.
    ///
    /// - Throws: `.unverified` for what is no such blob.
    public static func decode(
        _ bytes: [UInt8], what: String
    ) throws -> (parameters: [ModelCard.Parameter], ignored: [String]) {
        let wire = try OllamaDocument.decode([String: Value].self, from: bytes, what: what)
        var parameters: [ModelCard.Parameter] = []
        var ignored: [String] = []
        for name in wire.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            guard let definition = ParameterDefinition.named(name) else {
                ignored.append(name)
                continue
            }
            for text in wire[name]?.texts ?? [] {
                guard let canonical = definition.canonical(text) ?? whole(text, definition) else {
                    throw KapsuleError(
                        .unverified, id: "ollama.parameter", "\(what) gives \(name) the value '\(text)'",
                        remedy: "make the model again without it")
                }
                parameters.append(.init(name: name, value: canonical))
            }
        }
        return (parameters, ignored)
    }

    /// An integer that was stored with an exponent or a fraction of zero.
    private static func whole(_ text: String, _ definition: ParameterDefinition) -> String? {
        guard definition.kind == .integer, let number = Double(text) else { return nil }
        return Int64(exactly: number).map { String($0) }
    }

    /// A value as JSON has it; null is none.
    private struct Value: Decodable {
        let texts: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                texts = []
            } else if let value = try? container.decode(Bool.self) {
                texts = [value ? "true" : "false"]
            } else if let value = try? container.decode(Int64.self) {
                texts = [String(value)]
            } else if let value = try? container.decode(Double.self) {
                texts = [value.description]
            } else if let value = try? container.decode(String.self) {
                texts = [value]
            } else {
                texts = try container.decode([String].self)
            }
        }
    }
}
