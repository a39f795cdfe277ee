import HTTP
import Testing

@testable import OCI

@Suite struct ChallengeTests {
    static func parse(_ values: String...) -> [Challenge] {
        var headers = HTTPHeaders()
        for value in values { headers.add("WWW-Authenticate", value) }
        return Challenge.all(in: headers)
    }

    @Test func readsWhatDockersRegistrySends() {
        let found = Self.parse(
            #"Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope""#
        )
        #expect(found.count == 1)
        #expect(found[0].isBearer)
        #expect(found[0].realm == "https://auth.example/token")
        #expect(found[0].service == "r")
        #expect(found[0].scopes.map(\.description) == ["repository:a/b:pull,push", "repository:c:pull"])
    }

    @Test(
        arguments: [
            (#"Basic realm="x""#, ["basic"]), ("basic", ["basic"]),
            (#"BASIC realm=x, BEARER realm=y"#, ["basic", "bearer"]),
            (#"Negotiate YII==, Basic realm="a, b=\"c\"""#, ["negotiate", "basic"]), ("Negotiate", ["negotiate"]),
            (#"Bearer realm = "x" , service = y,Basic realm=z"#, ["bearer", "basic"]), ("", []), (",,", []),
            (#"Bearer realm="unclosed"#, ["bearer"]), (#"Digest qop="auth", Basic"#, ["digest", "basic"]),
        ] as [(String, [String])])
    func readsSchemes(_ text: String, _ schemes: [String]) {
        #expect(Self.parse(text).map(\.scheme) == schemes)
    }

    @Test func readsQuotedCommasAndEscapes() {
        #expect(Self.parse(#"Negotiate YII==, Basic realm="a, b=\"c\"""#)[1].realm == #"a, b="c""#)
        #expect(Self.parse("Bearer realm = \"x\" , service = y")[0].service == "y")
        #expect(Self.parse("Basic realm=a", "Bearer realm=b").map(\.realm) == ["a", "b"])
    }

    @Test func mergesScopes() {
        let scopes = ["repository:a:pull", "repository:a:push,pull", "repository:h:5000/b:pull"].compactMap {
            Scope(parsing: $0)
        }
        #expect(Scope.merged(scopes).map(\.description) == ["repository:a:pull,push", "repository:h:5000/b:pull"])
        #expect(Scope(parsing: "repository:h:5000/b:pull")?.name == "h:5000/b")
        #expect(Scope(parsing: "x") == nil)
        #expect(Scope(parsing: "a:b") == nil)
    }

    @Test(
        arguments: [
            (#"299 - "use something else""#, "use something else"), (#"299 - "a \"b\"""#, #"a "b""#),
            (#"199 - "x""#, nil),
            ("299 - x", nil), ("", nil), (#"299 - ""#, nil),
        ] as [(String, String?)])
    func readsWarnings(_ value: String, _ text: String?) { #expect(WarningHeader.text(value) == text) }

    @Test(
        arguments: [
            (nil, "ubuntu", "docker.io", "library/ubuntu", "registry-1.docker.io"),
            ("docker.io", "a/b", "docker.io", "a/b", "registry-1.docker.io"),
            ("index.docker.io", "ubuntu", "docker.io", "library/ubuntu", "registry-1.docker.io"),
            ("ghcr.io", "m", "ghcr.io", "m", "ghcr.io"),
            ("LOCALHOST:5000", "m", "localhost:5000", "m", "localhost:5000"),
        ] as [(String?, String, String, String, String)])
    func knowsDockerHub(_ host: String?, _ name: String, _ shown: String, _ repository: String, _ authority: String) {
        let found = RegistryName(Reference(host: host, repository: name, tag: nil))
        #expect(found.host == shown)
        #expect(found.repository == repository)
        #expect(found.authority == authority)
    }
}
