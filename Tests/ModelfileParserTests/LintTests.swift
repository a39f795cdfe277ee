import KapsuleCore
import ModelfileParser
import Testing

@Suite struct LintTests {
    /// A directory tree in memory.
    private struct Tree: PathLookup {
        let files: Set<String> = ["./model.gguf", "model.gguf", "keys/alice.pem", "x"]
        let directories: Set<String> = ["llama3", "./llama3", "keys"]

        func kind(of path: String) -> PathKind {
            files.contains(path) ? .file : directories.contains(path) ? .directory : .missing
        }

        func names(in directory: String) -> [String] {
            switch directory {
            case ".", "./": ["model.gguf", "llama3", "keys", "x"]
            case "keys/": ["alice.pem"]
            default: []
            }
        }
    }

    private static let commit = String(repeating: "0123456789", count: 4)

    @Test(arguments: [
        ("clean", "FROM ./model.gguf\nTEMPLATE {{ .Prompt }}\nENCRYPT keys/alice.pem", []),
        ("deprecated parameter", "FROM x\nPARAMETER mirostat 1", ["2:11 deprecated-parameter"]),
        ("unpinned hub", "FROM hf://a/b", ["1:6 unpinned-source"]),
        ("hub branch", "FROM hf://a/b@main", ["1:6 unpinned-source"]),
        ("hub commit", "FROM hf://a/b@\(commit)", []),
        ("short commit", "FROM hf://a/b@4e20de3", ["1:6 unpinned-source"]),
        ("registry tag", "FROM oci://ghcr.io/a/b:1", ["1:6 unpinned-source"]),
        ("registry digest", "FROM oci://ghcr.io/a/b@sha256:\(String(repeating: "0", count: 64))", []),
        ("git branch", "FROM git+https://h/r@main", ["1:6 unpinned-source"]),
        ("git commit", "FROM git+https://h/r@\(commit)", []),
        ("an Ollama name cannot be pinned", "FROM ollama://llama3:8b", []),
        ("misspelt path", "FROM ./modle.gguf", ["1:6 missing-path"]),
        ("misspelt file without ./", "FROM modle.gguf", ["1:6 missing-path"]),
        ("misspelt key", "FROM x\nENCRYPT keys/alise.pem", ["2:9 missing-path"]),
        ("missing adapter", "FROM x\nADAPTER lora", ["2:9 missing-path"]),
        ("missing layout", "FROM oci:out", ["1:6 missing-path"]),
        ("home directories are not looked at", "FROM ~/x.gguf", []),
        ("a name that is nothing here", "FROM mistral", []),
        ("shadowed model", "FROM llama3", ["1:6 shadowed-model"]),
        ("directory that is meant", "FROM ./llama3", []),
        ("overridden", "FROM x\nSYSTEM a\nSYSTEM b", ["2:1 overridden"]),
        (
            "overridden parameter", "FROM x\nPARAMETER top_k 1\nPARAMETER stop a\nPARAMETER stop b\nPARAMETER top_k 2",
            ["2:1 overridden"]
        ),
        ("licences accumulate", "FROM x\nLICENSE a\nLICENSE b", []),
        ("template without braces", "FROM x\nTEMPLATE hello", ["2:10 constant-template"]),
        ("comment within a line", "FROM x # y", ["1:6 trailing-comment"]),
        ("comment behind patterns", "FROM x\nEXCLUDE *.bin # y", ["2:9 trailing-comment"]),
        ("hash in quotes is meant", "FROM x\nPARAMETER stop \" # \"", []),
        ("hash in prose is meant", "FROM x\nSYSTEM use # for titles", []),
    ])
    func warns(_ row: String, _ text: String, _ expected: [String]) {
        let result = Parser.parse(text)
        #expect(result.errors == [], "\(row)")
        let found = Lint.check(result.modelfile, paths: Tree())
        #expect(found.allSatisfy { $0.severity == .warning }, "\(row)")
        let short = found.map { "\($0.span.line):\($0.span.column) \($0.id.dropFirst("modelfile.".count))" }
        #expect(short == expected, "\(row)")
    }

    @Test(arguments: [
        ("FROM ./modle.gguf", "did you mean ./model.gguf?"), ("FROM modle.gguf", "did you mean model.gguf?"),
        ("FROM x\nENCRYPT jwe:keys/alise.pem", "did you mean keys/alice.pem?"),
        ("FROM llama3", "write ./llama3 if the directory is meant, ollama://llama3 if the model is"),
        ("FROM hf.co/a/b:Q4_0", "pin it: hf://a/b:Q4_0@COMMIT, the whole commit of 40 hex digits"),
        ("FROM git+https://h/r@main", "pin it: git+https://h/r@COMMIT, the whole commit of 40 hex digits"),
    ])
    func helps(_ text: String, _ help: String) {
        #expect(Lint.check(Parser.parse(text).modelfile, paths: Tree()).map(\.help) == [help])
    }

    @Test func asksForNothingWithoutALookup() {
        #expect(Lint.check(Parser.parse("FROM ./modle.gguf\nENCRYPT a.pem").modelfile) == [])
    }
}
