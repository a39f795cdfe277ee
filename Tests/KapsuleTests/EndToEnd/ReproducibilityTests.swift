import Foundation
import TestSupport
import Testing

/// Equal models give equal images, wherever and however they are built.
@Suite struct ReproducibilityTests {
    /// One way to build: where the files come from, and what the machine is like.
    private struct Way {
        var name: String
        var options: [String] = []
        var variables: [String: String] = [:]
        var umask = "022"
        var reversed = false
    }

    @Test func equalModelsGiveOneDigestEverywhere() throws {
        let ways = [
            Way(name: "one", options: ["--concurrency", "1"]),
            Way(name: "two", options: ["--concurrency", "8"], umask: "077", reversed: true),
            Way(
                name: "three", variables: ["LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati"]),
            Way(name: "four", options: ["--no-cache"], variables: ["LC_ALL": "C.UTF-8", "TZ": "UTC+12"], umask: "0"),
        ]
        let digests = try ways.map { way in
            let sandbox = try Sandbox()
            let model = try sandbox.context("model \(way.name)", modelfile: "FROM .\nSYSTEM hello\n") {
                try SampleModel.writeMany(to: $0, reversed: way.reversed)
            }
            func build() throws -> String {
                let arguments = ["-c", "umask \(way.umask); exec \"$@\"", "sh", Sandbox.program, "build", "-t", "m:1"]
                let outcome = try Child(
                    "/bin/sh", arguments + way.options + [model],
                    environment: sandbox.environment.merging(way.variables) { $1 }, in: sandbox.path
                ).wait()
                #expect(outcome.status == 0, "\(outcome.errors)")
                return outcome.output
            }
            let first = try build()
            // From what the first build has remembered.
            #expect(try build() == first)
            return first
        }
        #expect(Set(digests).count == 1)
    }

    /// What is exported is the model, all of it: building it again gives the same image.
    @Test(arguments: [
        "FROM .\nPARAMETER temperature 0.7\nPARAMETER stop a\nPARAMETER stop \"b c\"\nSYSTEM \"\"\"Two\nlines\"\"\"\n",
        "FROM .\nTEMPLATE \"{{ .Prompt }}\"\nLICENSE MIT\nLICENSE \"\"\"Apache\n2.0\"\"\"\nMESSAGE user hi\nMESSAGE assistant ho\n",
        "FROM ./model.safetensors\nFROM ./config.json\n", "FROM .\nADAPTER ./sub\n",
        "FROM .\nEXCLUDE *.json !config.json\n",
    ])
    func anExportedModelIsTheSameModel(_ modelfile: String) throws {
        let sandbox = try Sandbox()
        let model = try sandbox.context("model", modelfile: modelfile) { try SampleModel.writeFew(to: $0) }
        let first = try EndToEnd.digest(in: try sandbox.done("build", "-t", "first:1", model))
        try sandbox.done("export", "--format", "hf", "-o", "out", "first:1")
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "-t", "second:1", "out")) == first)
        // So is one that comes from the image itself.
        try sandbox.done("export", "-o", "layout", "first:1")
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "-t", "third:1", "oci:layout:1")) == first)
        #expect(try EndToEnd.digest(in: try sandbox.done("build", "--no-cache", "-t", "fourth:1", "out")) == first)
        #expect(sandbox.debris == [])
    }
}
