public import KapsuleCore

extension Modelfile {
    /// What `modelfile parse --json` prints: an array, in the order of the file, of
    /// `{"instruction":"PARAMETER","name":"temperature","value":"0.7","line":3,"column":1}`.
    ///
    /// `name` and `value` are what Ollama's parser calls them: `model` for FROM, `role: text` for a MESSAGE.
    public var instructionsJSON: JSON {
        .array(
            instructions.map { instruction in
                .members([
                    "instruction": .string(instruction.word.rawValue),
                    "name": .string(instruction.ollamaName),
                    "value": .string(instruction.ollamaValue),
                    "line": .int(Int64(instruction.span.line)),
                    "column": .int(Int64(instruction.span.column)),
                ])
            })
    }
}
