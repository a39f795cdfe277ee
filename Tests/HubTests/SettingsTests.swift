import HTTP
import KapsuleCore
import TestSupport
import Testing

@testable import Hub

@Suite struct SettingsTests {
    static func settings(_ environment: [String: String]) throws -> HubSettings {
        try HubSettings(environment: environment, transport: TransportSettings())
    }

    @Test(
        arguments: [
            (nil, "https://huggingface.co/"), ("https://hub.example/", "https://hub.example/"),
            ("http://127.0.0.1:8800///", "http://127.0.0.1:8800/"),
            ("https://h/artifactory/hf/", "https://h/artifactory/hf"),
            ("", "https://huggingface.co/"),
        ] as [(String?, String)])
    func takesTheEndpoint(_ value: String?, _ expected: String) throws {
        #expect(try Self.settings(value.map { ["HF_ENDPOINT": $0] } ?? [:]).endpoint.text == expected)
    }

    @Test(arguments: ["huggingface.co", "ftp://x", "https://user:pass@x", "https://x/?a=b"])
    func refusesOtherEndpoints(_ value: String) {
        #expect(throws: KapsuleError.self) { try Self.settings(["HF_ENDPOINT": value]) }
    }

    @Test func findsTheTokenWhereTheHubsClientLooks() throws {
        let directory = try TemporaryDirectory()
        try directory.write("hf/token", " hf_file\n")
        try directory.write("other", "hf_other")
        try directory.write("home/.cache/huggingface/token", "hf_home")
        let home = ["HOME": "\(directory.path)/home"]
        func token(_ environment: [String: String]) throws -> String? {
            try Self.settings(home.merging(environment) { $1 }).token?.value
        }
        #expect(try token([:]) == "hf_home")
        #expect(try token(["HF_HOME": "\(directory.path)/hf"]) == "hf_file")
        #expect(try token(["HF_HOME": "$HOME/../hf"]) == "hf_file")
        #expect(try token(["HF_TOKEN_PATH": "\(directory.path)/other"]) == "hf_other")
        #expect(try token(["HF_TOKEN_PATH": "~/.cache/huggingface/token"]) == "hf_home")
        #expect(try token(["HUGGING_FACE_HUB_TOKEN": "hf_old"]) == "hf_old")
        #expect(try token(["HUGGING_FACE_HUB_TOKEN": "hf_old", "HF_TOKEN": " hf_new "]) == "hf_new")
        #expect(try token(["HF_TOKEN": " ", "HF_HOME": "/nowhere"]) == nil)
        #expect(try token(["HF_TOKEN": "x", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "yes"]) == nil)
    }

    @Test(
        arguments: [
            (["HOME": "/h"], "/h/.cache/huggingface/hub"),
            (["HOME": "/h", "XDG_CACHE_HOME": "/c"], "/c/huggingface/hub"),
            (["HOME": "/h", "HF_HOME": "~/hf"], "/h/hf/hub"), (["HOME": "/h", "HF_HUB_CACHE": "/x"], "/x"),
            (["HUGGINGFACE_HUB_CACHE": "/y"], "/y"), ([:], nil),
        ] as [([String: String], String?)])
    func findsTheCache(_ environment: [String: String], _ expected: String?) throws {
        #expect(try Self.settings(environment).cache == expected)
    }

    @Test(arguments: ["1": true, "on": true, "True": true, "YES": true, "0": false, "": false, "no": false])
    func knowsWhenItIsOffline(_ value: String, _ expected: Bool) throws {
        #expect(try Self.settings(["HF_HUB_OFFLINE": value]).isOffline == expected)
    }
}
