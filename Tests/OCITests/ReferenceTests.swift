import KapsuleCore
import OCI
import Testing

@Suite struct ReferenceTests {
    static let zeros = "sha256:" + String(repeating: "0", count: 64)

    @Test(
        arguments: [
            ("mistral:7b", nil, "mistral", "7b"), ("mistral", nil, "mistral", "latest"),
            ("acme/mistral", nil, "acme/mistral", "latest"),
            ("localhost/m", "localhost", "m", "latest"), ("localhost:5000/m", "localhost:5000", "m", "latest"),
            ("ghcr.io/acme/m:Q4_K_M", "ghcr.io", "acme/m", "Q4_K_M"), ("[::1]:5000/m:1", "[::1]:5000", "m", "1"),
            ("127.0.0.1:5000/a/b/c_d/e__f/g-h/i--j", "127.0.0.1:5000", "a/b/c_d/e__f/g-h/i--j", "latest"),
            ("ghcr.io/acme/m@\(zeros)", "ghcr.io", "acme/m", nil),
            ("ghcr.io/acme/m:x@\(zeros)", "ghcr.io", "acme/m", "x"),
        ] as [(String, String?, String, String?)])
    func parses(_ text: String, host: String?, path: String, tag: String?) throws {
        let reference = try Reference(parsing: text)
        #expect(reference.host == host)
        #expect(reference.repository == path)
        #expect(reference.tag == tag)
        #expect((reference.digest != nil) == text.contains("@"))
    }

    @Test(arguments: [
        "", "UPPER/case", "a//b", "host:port/x", "m@sha256:00", "m:", "m:-x", "m:\(String(repeating: "x", count: 129))",
        "a..b", "a___b", "-a", "a-", "ghcr.io/", "a b", "m:a/b:", "localhost:0/m", "localhost:70000/m", "x:@", "m:ä",
        "m:^", "m:P\u{10}", "ex_ample..com/m", "m:a@b",
    ])
    func refuses(_ text: String) {
        #expect { try Reference(parsing: text) } throws: { ($0 as? KapsuleError)?.id == "reference.malformed" }
    }
}
