import Foundation
import TestSupport
import Testing

/// A model exported, imported again with FROM, and exported again: the same bytes.
@Suite struct ExportedAgainTests {
    struct Form: CustomTestStringConvertible {
        let testDescription: String
        /// `DIR` is where it goes.
        let arguments: [String]
        /// How FROM names what was made.
        let source: String
    }

    private static let id = ["--model-id", "acme/tiny@0123456789012345678901234567890123456789"]

    static let forms = [
        Form(testDescription: "oci", arguments: ["--format", "oci", "-o", "DIR"], source: "oci:DIR"),
        Form(
            testDescription: "gzip", arguments: ["--compression", "gzip", "--format", "oci", "-o", "DIR"],
            source: "oci:DIR"),
        Form(testDescription: "oci-archive", arguments: ["-o", "DIR.tar"], source: "oci-archive:DIR.tar"),
        Form(testDescription: "modelpack", arguments: ["--format", "modelpack", "-o", "DIR"], source: "oci:DIR"),
        Form(
            testDescription: "modelpack of archives",
            arguments: ["-o", "type=modelpack,dest=DIR,layout=tar", "--compression", "gzip"], source: "oci:DIR"),
        Form(testDescription: "universal", arguments: ["--format", "universal", "-o", "DIR"], source: "oci:DIR"),
        Form(testDescription: "hf", arguments: ["--format", "hf", "-o", "DIR"], source: "./DIR"),
        Form(testDescription: "pytorch", arguments: ["--format", "pytorch", "-o", "DIR"], source: "./DIR"),
        Form(
            testDescription: "ollama in a layout", arguments: ["-o", "type=oci,dest=DIR,format=ollama"],
            source: "oci:DIR"),
        Form(
            testDescription: "hf-cache", arguments: ["-o", "type=hf-cache,dest=DIR,ref=main"] + id,
            source: "./DIR/models--acme--tiny/snapshots/0123456789012345678901234567890123456789"),
    ]

    private static let modelfile = #"""
        FROM .
        TEMPLATE """{{ .System }} <|x|> & {{ .Prompt }}
        """
        SYSTEM You are "terse" & <fun>.
        PARAMETER stop <|im_end|>
        PARAMETER temperature 0.70
        LICENSE MIT
        MESSAGE user Hi
        """#

    private func model(_ sandbox: Sandbox) throws -> String {
        let checkpoint = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
                "test_fixtures/pytorch/pytorch_model.bin")
        return try sandbox.context("m", modelfile: Self.modelfile) { path in
            try SampleModel.writeFew(to: path)
            try Data(GGUFBytes.sample().bytes).write(to: URL(fileURLWithPath: "\(path)/tiny.gguf"))
            try Data(contentsOf: checkpoint).write(to: URL(fileURLWithPath: "\(path)/pytorch_model.bin"))
        }
    }

    private func make(_ form: Form, _ sandbox: Sandbox, in place: String, of context: [String]) throws {
        let arguments = form.arguments.map { $0.replacingOccurrences(of: "DIR", with: place) }
        let outcome = try sandbox.start(["build", "-q"] + arguments + context).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test(arguments: forms)
    func theBytesAreTheSame(_ form: Form) throws {
        let sandbox = try Sandbox()
        try make(form, sandbox, in: "first", of: [try model(sandbox)])
        var source = form.source.replacingOccurrences(of: "DIR", with: "first")
        if form.testDescription == "hf-cache" {
            // A cache has no place for a Modelfile: it is written again.
            let lines = Self.modelfile.split(separator: "\n", omittingEmptySubsequences: false).dropFirst()
            source += "\n" + lines.joined(separator: "\n")
        } else if source.hasPrefix("./") {
            try make(form, sandbox, in: "second", of: [String(source.dropFirst(2))])
            return try compare(sandbox)
        }
        try sandbox.directory.write("desk/Modelfile", "FROM \(source)\n")
        try make(form, sandbox, in: "second", of: ["."])
        try compare(sandbox)
    }

    private func compare(_ sandbox: Sandbox) throws {
        let desk = "\(sandbox.path)/desk"
        guard FileManager.default.fileExists(atPath: "\(desk)/first.tar") else {
            let first = try FileTree("\(desk)/first")
            #expect(!first.files.isEmpty)
            #expect(try FileTree("\(desk)/second").differences(from: first) == [])
            return
        }
        #expect(FileManager.default.contentsEqual(atPath: "\(desk)/first.tar", andPath: "\(desk)/second.tar"))
    }

    /// Images with a hash tree are no sources: what is taken out of them is.
    @Test(arguments: ["modelwrap-1", "modelwrap-2", "privatemode"])
    func soAreVerityImagesByWayOfTheirFiles(_ profile: String) throws {
        let sandbox = try Sandbox()
        let flags = ["build", "-q", "--format", "verity", "--verity-profile", profile, "--model-id", "acme/tiny@1"]
        let first = try sandbox.start(flags + ["-o", "first", try model(sandbox)]).wait()
        #expect(first.status == 0, "\(first.errors)")
        let image = try #require(
            try FileTree("\(sandbox.path)/desk/first").files.max {
                try size("first/\($0)", sandbox) < size("first/\($1)", sandbox)
            })
        try sandbox.done("export", "first/\(image)", "--format", "hf", "-o", "files")
        // Which is no part of the image.
        try sandbox.directory.write("desk/files/Modelfile", "FROM .\n")
        let second = try sandbox.start(flags + ["-o", "second", "files"]).wait()
        #expect(second.output == first.output, "\(second.errors)")
        #expect(
            try FileTree("\(sandbox.path)/desk/second").differences(from: FileTree("\(sandbox.path)/desk/first")) == [])
    }

    private func size(_ file: String, _ sandbox: Sandbox) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: "\(sandbox.path)/desk/\(file)")[.size] as? Int ?? 0
    }
}
