/// A way of writing conversations that many models share, and kapsule's own Go template for it.
///
/// Ollama knows such families by the edit distance to texts that it carries with it; kapsule goes by the control tokens that a
/// chat template in Jinja writes. What a template renders is what the Jinja of its family renders: test_fixtures/chat-templates
/// has the proof. The token that begins a text is left to the runner, which puts it there by itself.
public struct ChatFamily: Sendable, Hashable {
    /// As people call it: `chatml`.
    public let name: String
    /// Go's text/template, over `.Messages` and `.System`.
    public let template: String
    /// Where an answer ends.
    public let stops: [String]
    /// What the Jinja has to hold, all of it; with `'` for every quote and `\n` for every line end.
    private let needs: [String]
    /// Of which it has to hold one at least.
    private let either: [String]
    /// What it must not hold: signs of another family.
    private let lacks: [String]
    /// The number of the token that ends a text, where the template writes that token out; nil where it writes none.
    private let endToken: Int64?

    init(
        _ name: String, needs: [String], either: [String] = [""], lacks: [String] = [], endToken: Int64? = nil,
        stops: [String], _ template: String
    ) {
        self.either = either
        self.name = name
        self.needs = needs
        self.lacks = lacks
        self.endToken = endToken
        self.stops = stops
        self.template = template
    }

    /// The family of a chat template; nil for one of no family that is known here.
    ///
    /// - Parameters:
    ///   - jinja: as the GGUF file has it.
    ///   - endToken: number of the token that ends a text; nil where the file says none.
    public static func of(_ jinja: String, endToken: Int64?) -> ChatFamily? {
        guard jinja.utf8.count <= longest else { return nil }
        // Both kinds of quotes are as good, and a line end may be written as itself or as an escape.
        let text = jinja.utf8.flatMap { byte in
            byte == UInt8(ascii: "\"") ? Array("'".utf8) : byte == UInt8(ascii: "\n") ? Array("\\n".utf8) : [byte]
        }
        func has(_ sign: String) -> Bool { contains(text, Array(sign.utf8)) }
        return all.first { family in
            family.needs.allSatisfy(has) && family.either.contains(where: has) && !family.lacks.contains(where: has)
                && (family.endToken == nil || endToken == nil || family.endToken == endToken)
        }
    }

    /// Longest template that is looked at, in bytes: those of real models have some 30 KiB at most.
    private static let longest = 256 << 10

    private static func contains(_ text: [UInt8], _ sign: [UInt8]) -> Bool {
        guard let first = sign.first else { return true }
        guard text.count >= sign.count else { return false }
        return (0...text.count - sign.count).contains { start in
            text[start] == first && text[start..<start + sign.count].elementsEqual(sign)
        }
    }
}

extension ChatFamily {
    /// `</s>` of the tokenizers that Llama 2 and Mistral began with.
    private static let sentenceEnd: Int64 = 2

    /// Those with the clearest signs first.
    static let all: [ChatFamily] = [
        ChatFamily(
            "phi4", needs: ["<|im_start|>", "<|im_sep|>"], stops: ["<|im_start|>", "<|im_sep|>", "<|im_end|>"],
            "{{ range .Messages }}<|im_start|>{{ .Role }}<|im_sep|>{{ .Content }}<|im_end|>{{ end }}"
                + "<|im_start|>assistant<|im_sep|>"),
        ChatFamily(
            "chatml", needs: ["<|im_start|>", "<|im_end|>"], stops: ["<|im_start|>", "<|im_end|>"],
            "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"),
        ChatFamily(
            "llama3", needs: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], lacks: [">>>${recipient}"],
            stops: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            "{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}"
                + "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        ChatFamily(
            "llama4", needs: ["<|header_start|>", "<|header_end|>", "<|eot|>"],
            stops: ["<|header_start|>", "<|header_end|>", "<|eot|>"],
            "{{ range .Messages }}<|header_start|>{{ .Role }}<|header_end|>\n\n{{ .Content }}<|eot|>{{ end }}"
                + "<|header_start|>assistant<|header_end|>\n\n"),
        ChatFamily(
            "llama2", needs: ["[INST]", "<<SYS>>"], endToken: sentenceEnd,
            stops: ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
            "{{ $system := .System }}{{ $begin := \"\" }}{{ range .Messages }}{{ if eq .Role \"user\" }}"
                + "{{ $begin }}{{ $begin = \"<s>\" }}[INST] {{ if $system }}<<SYS>>\n{{ $system }}\n<</SYS>>\n\n"
                + "{{ $system = \"\" }}{{ end }}{{ .Content }} [/INST]"
                + "{{ else if eq .Role \"assistant\" }} {{ .Content }} </s>{{ end }}{{ end }}"),
        ChatFamily(
            "mistral-v7", needs: ["[INST]", "[SYSTEM_PROMPT]"],
            lacks: ["[SYSTEM_PROMPT] ", "'[INST] '"], endToken: sentenceEnd,
            stops: ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"],
            "{{ range .Messages }}{{ if eq .Role \"system\" }}[SYSTEM_PROMPT]{{ .Content }}[/SYSTEM_PROMPT]"
                + "{{ else if eq .Role \"user\" }}[INST]{{ .Content }}[/INST]"
                + "{{ else if eq .Role \"assistant\" }}{{ .Content }}</s>{{ end }}{{ end }}"),
        ChatFamily(
            "mistral-v3", needs: ["'[INST] '", "'[/INST]'", "[AVAILABLE_TOOLS]"], lacks: ["[SYSTEM_PROMPT]"],
            endToken: sentenceEnd, stops: ["[INST]", "[/INST]"],
            "{{ range $i, $_ := .Messages }}{{ if eq .Role \"user\" }}[INST] "
                + "{{ if and $.System (eq (len (slice $.Messages $i)) 1) }}{{ $.System }}\n\n{{ end }}{{ .Content }}[/INST]"
                + "{{ else if eq .Role \"assistant\" }} {{ .Content }}</s>{{ end }}{{ end }}"),
        ChatFamily(
            "mistral-nemo", needs: ["'[INST]'", "'[/INST]'", "[AVAILABLE_TOOLS]"], lacks: ["[SYSTEM_PROMPT]"],
            endToken: sentenceEnd, stops: ["[INST]", "[/INST]"],
            "{{ range $i, $_ := .Messages }}{{ if eq .Role \"user\" }}[INST]"
                + "{{ if and $.System (eq (len (slice $.Messages $i)) 1) }}{{ $.System }}\n\n{{ end }}{{ .Content }}[/INST]"
                + "{{ else if eq .Role \"assistant\" }}{{ .Content }}</s>{{ end }}{{ end }}"),
        ChatFamily(
            "mistral", needs: ["'[INST] '", "' [/INST]'", "' ' + message['content']"],
            lacks: ["[SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "<<SYS>>"], endToken: sentenceEnd,
            stops: ["[INST]", "[/INST]"],
            "{{ $system := .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}[INST] {{ if $system }}{{ $system }}\n\n"
                + "{{ $system = \"\" }}{{ end }}{{ .Content }} [/INST]"
                + "{{ else if eq .Role \"assistant\" }} {{ .Content }}</s>{{ end }}{{ end }}"),
        ChatFamily(
            "mistral-v1", needs: ["'[INST] '", "' [/INST]'", "{{ message['content'] + eos_token"],
            lacks: ["[SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "<<SYS>>"], endToken: sentenceEnd,
            stops: ["[INST]", "[/INST]"],
            "{{ $system := .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}[INST] {{ if $system }}{{ $system }}\n\n"
                + "{{ $system = \"\" }}{{ end }}{{ .Content }} [/INST]"
                + "{{ else if eq .Role \"assistant\" }}{{ .Content }}</s>{{ end }}{{ end }}"),
        ChatFamily(
            "gemma", needs: ["<start_of_turn>", "<end_of_turn>"], stops: ["<start_of_turn>", "<end_of_turn>"],
            "{{ $system := .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}<start_of_turn>user\n"
                + "{{ if $system }}{{ $system }}\n\n{{ $system = \"\" }}{{ end }}{{ .Content }}<end_of_turn>\n"
                + "{{ else if eq .Role \"assistant\" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}"
                + "<start_of_turn>model\n"),
        ChatFamily(
            "granite", needs: ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"],
            stops: ["<|start_of_role|>", "<|end_of_text|>"],
            "{{ range .Messages }}<|start_of_role|>{{ .Role }}<|end_of_role|>{{ .Content }}<|end_of_text|>\n{{ end }}"
                + "<|start_of_role|>assistant<|end_of_role|>"),
        ChatFamily(
            "command-r", needs: ["<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"],
            lacks: ["<|START_RESPONSE|>", "<|START_TEXT|>"],
            stops: ["<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"],
            "{{ range .Messages }}<|START_OF_TURN_TOKEN|>{{ if eq .Role \"system\" }}<|SYSTEM_TOKEN|>"
                + "{{ else if eq .Role \"assistant\" }}<|CHATBOT_TOKEN|>{{ else }}<|USER_TOKEN|>{{ end }}"
                + "{{ .Content }}<|END_OF_TURN_TOKEN|>{{ end }}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"),
        ChatFamily(
            "deepseek", needs: ["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"], lacks: ["<think>", "</think>"],
            stops: ["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"],
            "{{ .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}<｜User｜>{{ .Content }}"
                + "{{ else if eq .Role \"assistant\" }}<｜Assistant｜>{{ .Content }}<｜end▁of▁sentence｜>{{ end }}{{ end }}"
                + "<｜Assistant｜>"),
        ChatFamily(
            "phi4-mini", needs: ["'<|' + message['role'] + '|>' + message['content'] + '<|end|>'"],
            stops: ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
            "{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}<|end|>{{ end }}<|assistant|>"),
        ChatFamily(
            "phi3", needs: ["<|end|>", "<|assistant|>"],
            either: ["'<|user|>' + '\\n'", "'<|user|>\\n'", "'|>' + '\\n'", "'|>\\n'"],
            lacks: ["<|start|>", "[BEGIN FINAL RESPONSE]"],
            stops: ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
            "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n"),
        ChatFamily(
            "zephyr", needs: ["'<|user|>\\n' + message['content'] + eos_token", "<|assistant|>"], endToken: sentenceEnd,
            stops: ["</s>", "<|system|>", "<|user|>", "<|assistant|>"],
            "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}<|assistant|>\n"),
        ChatFamily(
            "openchat", needs: ["GPT4 Correct ", "<|end_of_turn|>"], stops: ["<|end_of_turn|>"],
            "{{ range .Messages }}GPT4 Correct {{ if eq .Role \"system\" }}System{{ else if eq .Role \"assistant\" }}Assistant"
                + "{{ else }}User{{ end }}: {{ .Content }}<|end_of_turn|>{{ end }}GPT4 Correct Assistant:"),
        ChatFamily(
            "alpaca", needs: ["### Instruction:", "### Response:", "<|EOT|>"],
            stops: ["### Instruction:", "### Response:", "<|EOT|>"],
            "{{ range .Messages }}{{ if eq .Role \"user\" }}### Instruction:\n{{ .Content }}\n"
                + "{{ else if eq .Role \"assistant\" }}### Response:\n{{ .Content }}\n<|EOT|>\n"
                + "{{ else }}{{ .Content }}{{ end }}{{ end }}### Response:\n"),
        ChatFamily(
            "solar", needs: ["### System:", "### User:", "### Assistant:"],
            stops: ["### System:", "### User:", "### Assistant:"],
            "{{ range .Messages }}{{ if eq .Role \"system\" }}### System:\n{{ .Content }}\n\n"
                + "{{ else if eq .Role \"user\" }}### User:\n{{ .Content }}\n\n"
                + "{{ else if eq .Role \"assistant\" }}### Assistant:\n{{ .Content }}{{ end }}{{ end }}### Assistant:\n"
        ),
        ChatFamily(
            "vicuna", needs: ["'USER: '", "'ASSISTANT: '", "eos_token"], lacks: ["GPT4 Correct"], endToken: sentenceEnd,
            stops: ["USER:", "ASSISTANT:"],
            "{{ range .Messages }}{{ if eq .Role \"user\" }}USER: {{ .Content }}\n"
                + "{{ else if eq .Role \"assistant\" }}ASSISTANT: {{ .Content }}</s>\n"
                + "{{ else }}{{ .Content }}\n\n{{ end }}{{ end }}ASSISTANT:"),
    ]
}
