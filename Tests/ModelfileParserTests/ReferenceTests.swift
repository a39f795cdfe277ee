import KapsuleCore
import ModelfileParser
import Testing

private let commit = String(repeating: "0123456789", count: 4)
private let hex = String(repeating: "ab", count: 32)

/// What FROM and ENCRYPT can name.
@Suite struct ReferenceTests {
    /// One word a case, so that a table row can say what a reference is.
    static func summary(_ reference: SourceReference) -> String {
        switch reference {
        case .path(let path): "path \(path)"
        case .pathOrModelName(let text): "word \(text)"
        case .hub(let hub):
            "hub \(hub.repository) \(hub.revision ?? "-") \(hub.quantisation ?? "-")\(hub.isPinned ? " pinned" : "")"
        case .registry(let image): "registry \(image.host) \(image.repository) \(image.tag ?? "-") \(image.isPinned)"
        case .layout(let image): "layout \(image.path) \(image.tag ?? "-") \(image.digest != nil)"
        case .archive(let image): "archive \(image.path) \(image.tag ?? "-") \(image.digest != nil)"
        case .ollama(let name): "ollama \(name.scheme) \(name.host) \(name.namespace) \(name.model) \(name.tag)"
        case .git(let git): "git \(git.url) \(git.revision ?? "-")\(git.isPinned ? " pinned" : "")"
        }
    }

    @Test(arguments: [
        (".", "path ."), ("./x", "path ./x"), ("../x", "path ../x"), ("/x", "path /x"), ("~/x", "path ~/x"),
        ("~bob/x", "path ~bob/x"), ("\\x", "path \\x"), ("C:\\m\\x.gguf", "path C:\\m\\x.gguf"), ("C:/x", "path C:/x"),
        ("x.gguf", "path x.gguf"), ("dir/x.SafeTensors", "path dir/x.SafeTensors"), ("model dir", "word model dir"),
        ("llama3", "word llama3"), ("llama3:8b", "word llama3:8b"), ("ns/model:tag", "word ns/model:tag"),
        ("hf://a/b", "hub a/b - -"), ("hf://a/b@main", "hub a/b main -"),
        ("huggingface://a/b@refs/pr/1", "hub a/b refs/pr/1 -"),
        ("hf://a/b@\(commit)", "hub a/b \(commit) - pinned"), ("https://huggingface.co/a/b", "hub a/b - -"),
        ("https://huggingface.co/a/b/", "hub a/b - -"), ("https://huggingface.co/a/b/tree/v1", "hub a/b v1 -"),
        ("https://hf.co/a/b@v1", "hub a/b v1 -"), ("hf.co/a/b-GGUF:Q4_K_M", "hub a/b-GGUF - Q4_K_M"),
        ("huggingface.co/a/b", "hub a/b - -"), ("hf.co/a/x.gguf", "hub a/x.gguf - -"),
        ("hf://a/b:Q8_0@\(commit)", "hub a/b \(commit) Q8_0 pinned"),
        ("oci://ghcr.io/acme/m", "registry ghcr.io acme/m - false"),
        ("oci://localhost:5000/m:1", "registry localhost:5000 m 1 false"),
        ("oci://ghcr.io/acme/m@sha256:\(hex)", "registry ghcr.io acme/m - true"),
        ("oci://ghcr.io/acme/m:1@sha256:\(hex)", "registry ghcr.io acme/m 1 true"),
        ("oci:out", "layout out - false"), ("oci:../out dir:v1", "layout ../out dir v1 false"),
        ("oci:out@sha256:\(hex)", "layout out - true"), ("oci:out.gguf", "layout out.gguf - false"),
        ("oci-archive:m.tar", "archive m.tar - false"), ("oci-archive:m.tar:v1", "archive m.tar v1 false"),
        ("ollama://llama3", "ollama https registry.ollama.ai library llama3 latest"),
        ("ollama://reg/ns/m:q4", "ollama https reg ns m q4"),
        ("http://localhost:5000/library/m:1", "ollama http localhost:5000 library m 1"),
        ("git+https://github.com/a/b@\(commit)", "git https://github.com/a/b \(commit) pinned"),
        ("git+https://github.com/a/b.git", "git https://github.com/a/b.git -"),
        ("git+https://github.com/a/b@feature/x", "git https://github.com/a/b feature/x"),
        ("git+file:///srv/b@\(commit)", "git file:///srv/b \(commit) pinned"), ("GIT+HTTPS://h/r", "git https://h/r -"),
    ])
    func parses(_ text: String, _ expected: String) throws {
        #expect(Self.summary(try SourceReference(parsing: text)) == expected)
    }

    @Test(arguments: [
        "", "hf://", "hf://a", "hf://a/", "hf://a/b/c", "hf://a/b@", "hf://a/b@a..b", "hf://a/b:", "hf://a/..",
        "hf://-a/b",
        "hf://datasets/a/b", "https://huggingface.co/a/b/resolve/main/x.gguf", "hf.co/a", "oci://", "oci://ghcr.io",
        "oci://ghcr.io/", "oci://ghcr.io/Acme/m", "oci://ghcr.io/a//b", "oci://ghcr.io/a:", "oci://ghcr.io/a:-x",
        "oci://ghcr.io/a@sha256:00", "oci://ghcr.io/a@md5:00", "oci://ghcr.io/a._b", "oci://gh cr.io/a", "oci:",
        "oci:out:",
        "oci-archive:", "ollama://", "ollama://a/b/c/d", "ollama://m:", "ollama:///m", "ollama://m@sha256:\(hex)",
        "git+https://", "git+https://h", "git+https://h/", "git+https://h/r@", "git+file://host/r", "git+ssh://git@h/r",
        "git://h/r", "s3://b/k", "file:///x", "docker://h/r", "https://example.com/x.gguf",
        "https://ollama.com/library/m",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: KapsuleError.self) { try SourceReference(parsing: text) }
        #expect(error?.code == .usage)
        #expect(["modelfile.bad-reference", Diagnostic.secretID].contains(error?.id))
        #expect(error?.remedy != nil)
    }

    @Test(arguments: ["git+https://u:p@h/r", "https://token@huggingface.co/a/b", "oci://u:p@ghcr.io/a/b"])
    func refusesCredentials(_ text: String) {
        let error = #expect(throws: KapsuleError.self) { try SourceReference(parsing: text) }
        #expect(error?.id == Diagnostic.secretID)
    }

    @Test(arguments: ["ollama://m:1@sha256:\(hex)", "git+file:///a/b@c@\(commit)", "hf://a/b@u"])
    func takesAnAtSignForWhatItIs(_ text: String) {
        let result = Parser.parse("FROM \(text)")
        #expect(!result.errors.contains { $0.id == Diagnostic.secretID })
    }

    @Test(arguments: [
        ("hff://a/b", "did you mean hf://?"), ("docker://h/r", "write oci://h/r for an image in a registry"),
        ("oci://ghcr.io/Acme/M:1", "repositories are lower-case: write oci://ghcr.io/acme/m"),
        ("https://ollama.com/library/m:1", "write ollama://m:1"),
        ("https://huggingface.co/a/b/blob/main/x", "write hf://a/b@COMMIT and leave the other files out with EXCLUDE"),
    ])
    func helps(_ text: String, _ remedy: String) {
        let error = #expect(throws: KapsuleError.self) { try SourceReference(parsing: text) }
        #expect(error?.remedy == remedy)
    }

    @Test(
        arguments: [
            ("keys/a.pem", .file(path: "keys/a.pem")), ("./a:b", .file(path: "./a:b")),
            ("jwe:a.pem", .jwe(path: "a.pem")),
            ("pkcs7:a.crt", .pkcs7(path: "a.crt")), ("provider:kms", .provider(name: "kms", parameters: nil)),
            ("provider:kms:key=1:2", .provider(name: "kms", parameters: "key=1:2")),
            ("vault:models", .vault(key: "models")),
            ("emwp:keys/m.key", .emwpFile(path: "keys/m.key")),
            ("emwp:env:MODEL_KEY", .emwpEnvironment(name: "MODEL_KEY")),
        ] as [(String, RecipientReference)])
    func parsesRecipient(_ text: String, _ expected: RecipientReference) throws {
        #expect(try RecipientReference(parsing: text) == expected)
    }

    @Test(arguments: [
        "", "jwe:", "pkcs7:", "provider:", "vault:", "emwp:", "emwp:env:", "emwp:env:1A", "emwp:env:A-B", "jew:a",
    ])
    func refusesRecipient(_ text: String) {
        let error = #expect(throws: KapsuleError.self) { try RecipientReference(parsing: text) }
        #expect(error?.id == "modelfile.bad-recipient")
    }
}
