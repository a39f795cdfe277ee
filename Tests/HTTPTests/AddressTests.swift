import HTTP
import Testing

@Suite struct AddressTests {
    @Test(
        arguments: [
            ("https://Example.COM", "https://example.com/"), ("http://h:80/a?b=c#d", "http://h/a?b=c"),
            ("https://h:80/a", "https://h:80/a"), ("http://[::1]:5000/v2/", "http://[::1]:5000/v2/"),
            ("https://h?x=/y", "https://h/?x=/y"), ("http://h:/a", "http://h/a"),
            ("https://h/a%2Fb?_state=x%3D%3D&y=//", "https://h/a%2Fb?_state=x%3D%3D&y=//"),
        ])
    func parses(_ text: String, _ expected: String) {
        #expect(WebAddress(parsing: text)?.text == expected)
    }

    @Test(arguments: [
        "", "/a", "h/a", "ftp://h/", "http://", "https:///a", "http://u:p@h/", "http://h:x/", "http://h:70000/",
        "http://h/a b", "http://h/\r\nX: y", "http://::1/", "http://[::1/", "file:///etc/passwd",
        "https://good\\@evil/",
    ])
    func refuses(_ text: String) {
        #expect(WebAddress(parsing: text) == nil)
    }

    /// Source: RFC 3986, section 5.4, as far as it concerns us.
    @Test(
        arguments: [
            ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
            ("//g", "http://g/"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"), ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"), ("..", "http://a/b/"), ("../g", "http://a/b/g"), ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"), ("g?y/../x", "http://a/b/c/g?y/../x"), ("https://x/y", "https://x/y"),
            ("g#s", "http://a/b/c/g"), ("/v2/m/uploads/1?_state=a:b//c", "http://a/v2/m/uploads/1?_state=a:b//c"),
        ])
    func resolves(_ reference: String, _ expected: String) {
        #expect(WebAddress(parsing: "http://a/b/c/d;p?q")?.resolving(reference)?.text == expected)
    }

    @Test(arguments: ["ftp://x/", "mailto:x@y", "http://u@h/", "a b", "javascript:alert(1)"])
    func resolvesNothingElse(_ reference: String) {
        #expect(WebAddress(parsing: "http://a/b")?.resolving(reference) == nil)
    }

    @Test func showsNoQuery() {
        let url = WebAddress(parsing: "https://s3.example/blob?X-Amz-Signature=secret")
        #expect("\(url!)" == "https://s3.example/blob")
    }

    @Test(
        arguments: [
            ("http://h/u", "http://h/u?digest=sha256%3Aab"), ("http://h/u?", "http://h/u?digest=sha256%3Aab"),
            ("http://h/u?_state=x", "http://h/u?_state=x&digest=sha256%3Aab"),
        ])
    func addsParametersBehindOthers(_ text: String, _ expected: String) {
        #expect(WebAddress(parsing: text)?.adding("digest", "sha256:ab").text == expected)
    }

    @Test(
        arguments: [
            ("localhost", true), ("a.localhost", true), ("127.0.0.1", true), ("127.9.9.9", true), ("[::1]", true),
            ("127.0.0.1.evil.com", false), ("10.0.0.1", false), ("128.0.0.1", false), ("127.1", false),
            ("localhost.evil.com", false), ("127.0.0.999", false),
        ])
    func knowsThisMachine(_ host: String, _ expected: Bool) {
        #expect(WebAddress(.http, host: host).isLoopback == expected)
    }
}
