import Foundation
import TestSupport
import Testing

/// What a person is told, and with which status the program ends.
@Suite(.enabled(if: HubFixture.isUsable, "needs python3 and curl")) struct HubRefusalTests {
    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var source = "hf://acme/m"
        var options: [String] = []
        var variables: [String: String] = [:]
        let status: Int32
        /// `$HUB` and `$HOST` stand for the endpoint and its host.
        let errors: String
    }

    static let cases = [
        Case(
            testDescription: "gated, no token", options: ["--gated", "acme/m"], status: 3,
            errors: """
                error: acme/m is gated: its files are only for accounts that accepted its terms, and there is no token
                help: accept the terms at $HUB/acme/m, then set HF_TOKEN to a token of that account
                """),
        Case(
            testDescription: "gated, not let in", options: ["--gated", "acme/m", "--token", "hf_a"],
            variables: ["HF_TOKEN": "hf_a"], status: 3,
            errors: """
                error: acme/m is gated: the account of the token in HF_TOKEN has not been let in (403)
                help: accept the terms at $HUB/acme/m with that account, or set HF_TOKEN to a token of one that did
                """),
        Case(
            testDescription: "private, no token", options: ["--private", "acme/m"], status: 3,
            errors: """
                error: $HOST shows no model acme/m without a token: it does not exist, or it is private
                help: check the name for a typing mistake; for a private model set HF_TOKEN
                """),
        Case(
            testDescription: "private, another's token", options: ["--private", "acme/m", "--token", "hf_a"],
            variables: ["HUGGING_FACE_HUB_TOKEN": "hf_a"], status: 5,
            errors: """
                error: $HOST shows no model acme/m: it does not exist, or it is private and the token of HUGGING_FACE_HUB_TOKEN may not read it
                help: check the name for a typing mistake, and which account the token is of
                """),
        Case(
            testDescription: "a bad token", options: ["--token", "hf_a"], variables: ["HF_TOKEN": "hf_b"], status: 3,
            errors: """
                error: $HOST does not know the token of HF_TOKEN
                help: make a new one at $HUB/settings/tokens, or remove it: public models need none
                """),
        Case(
            testDescription: "no such model", source: "hf://acme/nothing", status: 3,
            errors: """
                error: $HOST shows no model acme/nothing without a token: it does not exist, or it is private
                help: check the name for a typing mistake; for a private model set HF_TOKEN
                """),
        Case(
            testDescription: "no such revision", source: "hf://acme/m@mian", status: 5,
            errors: """
                error: acme/m has no revision 'mian'
                help: did you mean main?
                """),
        Case(
            testDescription: "no such quantisation", source: "hf.co/acme/m:Q4_K_M", status: 5,
            errors: """
                error: acme/m has no GGUF file with the quantisation 'Q4_K_M'
                help: leave ':Q4_K_M' out: it has no GGUF file at all
                """),
        Case(
            testDescription: "an endpoint that is none", variables: ["HF_ENDPOINT": "hub"], status: 2,
            errors: """
                error: HF_ENDPOINT is 'hub', which is no web address
                help: set it to one such as https://huggingface.co, without a user name or a query, or unset it
                """),
    ]

    @Test(arguments: cases) func saysWhatIsWrong(_ test: Case) throws {
        let fixture = try HubFixture(test.options, HubFixture.tiny)
        let outcome = try fixture.sandbox.start(
            ["build", "-q", "-t", "m:1", test.source], test.variables
        ).wait()
        #expect(outcome.status == test.status)
        // The line of the implied Modelfile is between the two.
        let lines = outcome.errors.split(separator: "\n").filter { $0.contains("error: ") || $0.hasPrefix("help: ") }
            .map { line in line.firstRange(of: "error: ").map { String(line[$0.lowerBound...]) } ?? String(line) }
        let expected = test.errors.replacingOccurrences(of: "$HUB", with: fixture.hub.endpoint)
            .replacingOccurrences(of: "$HOST", with: "127.0.0.1:\(fixture.hub.port)")
        #expect(lines.joined(separator: "\n") == expected)
        #expect(try fixture.sandbox.done("ls", "-q") == "")
    }

    /// A peer tried again with back-off, and then said that retries were used up.
    @Test func aGatedModelIsRefusedAtOnce() throws {
        let fixture = try HubFixture(["--gated", "acme/m"], HubFixture.tiny)
        _ = try fixture.build()
        #expect(try fixture.hub.requests.count == 3)
    }

    @Test func aGatedModelIsBuiltWithTheRightToken() throws {
        let fixture = try HubFixture(["--gated", "acme/m", "--private", "acme/m", "--grant", "hf_ok"], HubFixture.tiny)
        fixture.sandbox.environment["HF_TOKEN"] = "hf_ok"
        let outcome = try fixture.build(into: "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try fixture.layers("out") == fixture.layersOfDirectory())
    }
}
