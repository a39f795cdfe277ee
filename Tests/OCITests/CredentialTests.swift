import Foundation
import KapsuleCore
import TestSupport
import Testing

@testable import OCI

@Suite struct CredentialTests {
    let home: TemporaryDirectory

    init() throws { home = try TemporaryDirectory() }

    var environment: [String: String] {
        ["HOME": home.path, "XDG_RUNTIME_DIR": "\(home.path)/run", "PATH": "\(home.path)/bin:bin:/usr/bin:/bin"]
    }

    static func auth(_ pair: String) -> String { #"{"auth":"\#(Data(pair.utf8).base64EncodedString())"}"# }

    func find(_ host: String, _ repository: String = "acme/m", _ more: [String: String] = [:]) throws -> Credential? {
        try CredentialStore(environment: environment.merging(more) { $1 }).credential(for: host, repository: repository)
    }

    @Test(
        arguments: [
            ("h.io", "team/project/x", "project"), ("h.io", "team/other", "team"), ("h.io", "else", "host"),
            ("h.io", "teammate/x", "host"), ("old.io:5000", "x", "old"), ("docker.io", "library/x", "hub"),
            ("colon.io", "x", "user"), ("split.io", "x", "members"), ("unknown.io", "x", nil), ("empty.io", "x", nil),
            ("h.io:5000", "x", nil), ("evil-h.io", "x", nil),
        ] as [(String, String, String?)])
    func matchesTheLongestPrefix(_ host: String, _ repository: String, _ user: String?) throws {
        try home.write(
            "run/containers/auth.json",
            """
            {"auths":{"h.io":\(Self.auth("host:p")),"h.io/team":\(Self.auth("team:p")),
            "h.io/team/project":\(Self.auth("project:p")),"http://old.io:5000/v1/":\(Self.auth("old:p")),
            "https://index.docker.io/v1/":\(Self.auth("hub:p")),"colon.io":\(Self.auth("user:a:b\u{0}\u{0}")),
            "split.io":{"username":"members","password":"p"},"empty.io":{}},"other":[1,2.5,null]}
            """)
        guard case .password(let found, let password) = try find(host, repository) else {
            #expect(user == nil)
            return
        }
        #expect(found == user)
        #expect(password == (user == "user" ? "a:b" : "p"))
    }

    @Test func looksInOnePlaceAfterTheOther() throws {
        func entry(_ user: String) -> String { #"{"auths":{"h.io":\#(Self.auth("\(user):p"))}}"# }
        let places = [
            (".dockercfg", #"{"h.io":\#(Self.auth("cfg:p"))}"#, "cfg"),
            (".docker/config.json", entry("docker"), "docker"),
            (".config/containers/auth.json", entry("config"), "config"),
            ("run/containers/auth.json", entry("run"), "run"),
        ]
        for (path, text, user) in places {
            try home.write(path, text)
            #expect(try find("h.io") == .password(user: user, password: "p"))
        }
        let file = try home.write("other.json", entry("file"))
        #expect(try find("h.io", "m", ["REGISTRY_AUTH_FILE": file]) == .password(user: "file", password: "p"))
        #expect(try find("x.io", "m", ["REGISTRY_AUTH_FILE": file]) == nil, "only that file")
        try home.write("docker2/config.json", entry("docker2"))
        let given = ["OCI_USERNAME": "env", "OCI_PASSWORD": "e", "REGISTRY_AUTH_FILE": file]
        #expect(try find("h.io", "m", given) == .password(user: "env", password: "e"))
        let store = CredentialStore(
            environment: environment.merging(given) { $1 }, username: "flag", password: "f", authFile: file)
        #expect(try store.credential(for: "h.io", repository: "m") == .password(user: "flag", password: "f"))
    }

    @Test func readsIdentityTokens() throws {
        try home.write(
            ".docker/config.json",
            #"{"auths":{"h.io":{"auth":"\#(Data("<token>:".utf8).base64EncodedString())","identitytoken":"R"}}}"#)
        #expect(try find("h.io") == .identityToken("R", user: nil))
    }

    @Test func namesAFileThatCannotBeRead() throws {
        try home.write(".docker/config.json", "{")
        let error = #expect(throws: KapsuleError.self) { try find("h.io") }
        #expect(error?.id == "credentials.malformed")
        let missing = #expect(throws: KapsuleError.self) { try find("h.io", "m", ["REGISTRY_AUTH_FILE": "/nowhere"]) }
        #expect(missing?.id == "credentials.not-found")
    }

    /// A helper that keeps its one secret in a file beside it, and notes what it is asked.
    func helper(_ name: String, in folder: String = "bin") throws {
        let path = try home.write(
            "\(folder)/docker-credential-\(name)",
            """
            #!/bin/sh
            read -r line
            echo "$1 $# $line" >> "\(home.path)/\(name).log"
            case $1 in
            store) echo "$line" > "\(home.path)/\(name).secret" ;;
            erase) rm "\(home.path)/\(name).secret" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
            get) cat "\(home.path)/\(name).secret" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
            esac
            """)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    @Test func asksHelpers() throws {
        try helper("own")
        try helper("all")
        try home.write(
            ".docker/config.json",
            #"{"auths":{"h.io":\#(Self.auth("file:p"))},"credHelpers":{"own.io":"own","h.io":"own"},"credsStore":"all"}"#
        )
        #expect(try find("own.io") == nil)
        try home.write("own.secret", #"{"ServerURL":"own.io","Username":"u","Secret":"s"}"#)
        #expect(try find("own.io") == .password(user: "u", password: "s"))
        #expect(try find("h.io") == .password(user: "u", password: "s"), "a helper beats the file")
        #expect(try find("x.io") == nil)
        try home.write("all.secret", #"{"ServerURL":"x.io","Username":"<token>","Secret":"T"}"#)
        #expect(try find("x.io") == .identityToken("T", user: nil))
        #expect(try find("docker.io") == .identityToken("T", user: nil))
        let log = String(decoding: try home.read("all.log"), as: UTF8.self)
        #expect(log.contains("get 1 https://index.docker.io/v1/\n"))
    }

    @Test func runsNoHelperOfARelativePath() throws {
        try helper("rel", in: "elsewhere")
        try home.write(".docker/config.json", #"{"credsStore":"rel"}"#)
        let error = #expect(throws: KapsuleError.self) { try find("h.io", "m", ["PATH": "elsewhere:.:/bin"]) }
        #expect(error?.id == "credentials.helper-missing")
        try home.write(".docker/config.json", #"{"credsStore":"../elsewhere/rel"}"#)
        #expect(throws: KapsuleError.self) { try find("h.io") }
    }

    @Test func logsInAndOut() throws {
        try home.write(
            ".docker/config.json",
            #"{"HttpHeaders":{"X":"y"},"auths":{"other.io":\#(Self.auth("o:p"))},"proxies":{"n":[1,true,null,1.5]}}"#)
        let store = CredentialStore(environment: environment)
        #expect(try store.login("h.io", username: "alice", password: "won:der") == "\(home.path)/.docker/config.json")
        try store.login("docker.io", username: "hub", password: "p")
        #expect(try find("h.io") == .password(user: "alice", password: "won:der"))
        #expect(try find("index.docker.io") == .password(user: "hub", password: "p"))
        let text = String(decoding: try home.read(".docker/config.json"), as: UTF8.self)
        #expect(text.contains("https://index.docker.io/v1/"))
        let mode = try FileManager.default.attributesOfItem(atPath: "\(home.path)/.docker/config.json")[
            .posixPermissions]
        #expect((mode as? NSNumber)?.intValue == 0o600)
        #expect(try store.logout("h.io"))
        #expect(try !store.logout("h.io"))
        #expect(try find("h.io") == nil)
        #expect(try find("other.io") == .password(user: "o", password: "p"))
        let left = try JSONDecoder().decode(JSONValue.self, from: Data(try home.read(".docker/config.json")))
        #expect(left["HttpHeaders"]?["X"]?.text == "y")
        #expect(left["proxies"]?["n"] == .array([.int(1), .bool(true), .null, .double(1.5)]))
    }

    @Test func logsInWithAHelper() throws {
        try helper("own")
        try home.write(".docker/config.json", #"{"credsStore":"own"}"#)
        let store = CredentialStore(environment: environment)
        #expect(try store.login("h.io", username: "alice", password: "wonder") == "docker-credential-own")
        #expect(try find("h.io") == .password(user: "alice", password: "wonder"))
        let text = String(decoding: try home.read(".docker/config.json"), as: UTF8.self)
        #expect(!text.contains("wonder") && !text.contains(Data("alice:wonder".utf8).base64EncodedString()))
        #expect(text.contains("h.io"))
        #expect(try store.logout("h.io"))
        #expect(try find("h.io") == nil)
    }

    @Test func logsInWhereItWouldBeFound() throws {
        try home.write("run/containers/auth.json", #"{"auths":{"h.io":\#(Self.auth("old:p"))}}"#)
        let store = CredentialStore(environment: environment)
        #expect(try store.login("h.io", username: "new", password: "p").hasSuffix("run/containers/auth.json"))
        #expect(try find("h.io") == .password(user: "new", password: "p"))
    }

    @Test func showsNoSecret() {
        let credential = Credential.password(user: "alice", password: "s3cret")
        #expect(!"\(credential)".contains("s3cret") && !String(reflecting: credential).contains("s3cret"))
        var text = ""
        dump(credential, to: &text)
        #expect(!text.contains("s3cret"))
    }
}
