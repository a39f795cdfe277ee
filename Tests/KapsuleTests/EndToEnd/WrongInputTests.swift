import Foundation
import TestSupport
import Testing

/// What people see of their mistakes: the whole message and the exit status.
@Suite struct WrongInputTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var modelfile = "FROM .\n"
        /// Run in the context's folder before.
        var prepare = ""
        var arguments = ["build", "-t", "m:1", "."]
        var variables: [String: String] = [:]
        var status: Int32 = 2
        let errors: String
    }

    @Test(arguments: Self.mistakes)
    func isExplained(_ mistake: Mistake) throws {
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: mistake.modelfile)
        try sandbox.tool("sh", ["-c", mistake.prepare], in: context)
        let outcome = try sandbox.start(mistake.arguments, mistake.variables, in: context).wait()
        #expect(sandbox.shown(outcome.errors) == mistake.errors)
        #expect(outcome.status == mistake.status)
        #expect(outcome.output == "")
        // Nothing was made.
        #expect(try sandbox.done("ls", "--json") == "[]")
        #expect(try FileTree(sandbox.path).files.filter { $0.hasPrefix("store/blobs/") } == [])
        #expect(sandbox.debris == [])
    }

    private static let noHelp =
        "Usage: kapsule build [<options>] [<context>]\n  See 'kapsule build --help' for more information.\n"

    private static let mistakes: [Mistake] = [
        Mistake(
            testDescription: "unknown instruction", modelfile: "FROM .\nPARAMTER temperature 1\n",
            errors: """
                Modelfile:2:1: error: unknown instruction 'PARAMTER'
                  2 | PARAMTER temperature 1
                    | ^^^^^^^^
                help: did you mean PARAMETER?

                """),
        Mistake(
            testDescription: "missing file", modelfile: "FROM ./wieghts.bin\n",
            errors: """
                Modelfile:1:6: error: FROM names './wieghts.bin', which does not exist
                  1 | FROM ./wieghts.bin
                    |      ^^^^^^^^^^^^^
                help: did you mean weights.bin?

                """),
        Mistake(
            testDescription: "neither a file nor an image", modelfile: "FROM weigths.bin\n",
            errors: """
                Modelfile:1:6: error: 'weigths.bin' is neither a file or directory of the context $DIR/desk/m, nor an image of the local store, nor a model of Ollama's
                  1 | FROM weigths.bin
                    |      ^^^^^^^^^^^
                help: did you mean weights.bin?

                """),
        Mistake(
            testDescription: "link out of the context", prepare: "ln -s /etc/passwd link",
            errors: """
                Modelfile:1:6: error: $DIR/desk/m/link is a link to /etc/passwd, which is outside of $DIR/desk/m
                  1 | FROM .
                    |      ^
                help: copy the file into the directory, or leave it out with EXCLUDE link

                """),
        Mistake(
            testDescription: "link to nowhere", prepare: "ln -s nowhere link",
            errors: """
                Modelfile:1:6: error: $DIR/desk/m/link is a link to nowhere, which does not exist
                  1 | FROM .
                    |      ^
                help: remove the link, or leave it out with EXCLUDE link

                """),
        Mistake(
            testDescription: "pipe", prepare: "mkfifo pipe",
            errors: """
                Modelfile:1:6: error: $DIR/desk/m/pipe is a device, a socket or a pipe, and no part of a model
                  1 | FROM .
                    |      ^
                help: remove it, or leave it out with EXCLUDE pipe

                """),
        Mistake(
            testDescription: "link in a circle", prepare: "mkdir sub && ln -s .. sub/up",
            errors: """
                Modelfile:1:6: error: $DIR/desk/m/sub/up is a link to a directory above it
                  1 | FROM .
                    |      ^
                help: remove the link, or leave it out with EXCLUDE sub/up

                """),
        Mistake(
            testDescription: "path out of the context", modelfile: "FROM ../\n",
            errors: """
                Modelfile:1:6: error: '../' leads to $DIR/desk, which is outside of the context $DIR/desk/m
                  1 | FROM ../
                    |      ^^^
                help: give a directory above both as the context, or write the path absolute

                """),
        Mistake(
            testDescription: "a recipient without a key", modelfile: "FROM .\nENCRYPT key.pem\n",
            errors: """
                Modelfile:2:9: error: while reading the key $DIR/desk/m/key.pem: cannot open $DIR/desk/m/key.pem: No such file or directory
                  2 | ENCRYPT key.pem
                    |         ^^^^^^^
                help: check the path for a typing mistake

                """),
        Mistake(
            testDescription: "a recipient whose key is none", modelfile: "FROM .\nENCRYPT weights.bin\n",
            errors: """
                Modelfile:2:9: error: $DIR/desk/m/weights.bin is no key: it is neither PEM, DER nor a JSON Web Key
                  2 | ENCRYPT weights.bin
                    |         ^^^^^^^^^^^
                help: give a key as PEM, DER, JSON Web Key or certificate; 'kapsule keygen' makes a pair

                """),
        Mistake(
            testDescription: "everything left out", modelfile: "FROM .\nEXCLUDE *\n",
            errors: """
                Modelfile:1:6: error: no file is left for the model
                  1 | FROM .
                    |      ^
                help: check FROM, EXCLUDE, --exclude, --include and the ignore file

                """),
        Mistake(
            testDescription: "empty Modelfile", modelfile: "",
            errors: """
                Modelfile:1:1: error: no FROM line: nothing says which model this is about
                help: add a line such as 'FROM ./model.gguf' or 'FROM hf://ORG/NAME@COMMIT'

                """),
        Mistake(
            testDescription: "several mistakes at once", modelfile: "PARAMTER a 1\nFORM .\n",
            errors: """
                Modelfile:1:1: error: unknown instruction 'PARAMTER'
                  1 | PARAMTER a 1
                    | ^^^^^^^^
                help: did you mean PARAMETER?
                Modelfile:2:1: error: unknown instruction 'FORM'
                  2 | FORM .
                    | ^^^^
                help: did you mean FROM?

                """),
        Mistake(
            testDescription: "concurrency of nothing", arguments: ["build", "--concurrency", "0", "."],
            errors: "Error: '--concurrency 0' is too small: use 1 to 32.\n" + noHelp),
        Mistake(
            testDescription: "misspelt option", arguments: ["build", "--tga", "m:1", "."],
            errors: "Error: Unknown option '--tga'. Did you mean '--tag'?\n" + noHelp),
        Mistake(
            testDescription: "time that is none", variables: ["SOURCE_DATE_EPOCH": "yesterday"],
            errors: """
                error: SOURCE_DATE_EPOCH is 'yesterday', which is not a whole number of seconds
                help: set it to seconds since 1970, such as $(git log -1 --format=%ct), or unset it

                """),
        Mistake(
            testDescription: "progress of no kind", variables: ["KAPSULE_PROGRESS": "loud"],
            errors: """
                error: KAPSULE_PROGRESS is 'loud', which is no way of showing progress
                help: set it to auto, tty, plain, json or none

                """),
        Mistake(
            testDescription: "no context", arguments: ["build", "-t", "m:1", "nowhere"],
            errors: """
                error: the context 'nowhere' is not a directory
                help: give a directory, or a source such as hf://ORG/NAME or oci://HOST/REPOSITORY:TAG

                """),
        Mistake(
            testDescription: "no registry there", arguments: ["build", "-q", "-t", "127.0.0.1:1/m:1", "."], status: 5,
            errors: """
                error: cannot connect to 127.0.0.1:1: Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server
                help: check that it is running and can be reached from here; running the command again resumes

                """),
        Mistake(
            testDescription: "no such image to push", arguments: ["push", "m:1", "127.0.0.1:1/m:1"],
            errors: """
                error: there is no image 'm:1' in the local store
                help: 'kapsule ls' lists what there is; an image of a registry is written HOST/REPOSITORY:TAG

                """),
        Mistake(
            testDescription: "nothing to push to", arguments: ["build", "-t", "m:1", "--push", "-o", "out", "."],
            errors: """
                error: there is nothing to push: no --tag names a registry
                help: add --tag HOST/REPOSITORY:TAG

                """),
    ]

    /// Root reads everything, so the build is somebody else's.
    @Test func anUnreadableFileIsNamed() throws {
        guard getuid() == 0 else { return try Tool.skip("needs root, to be somebody who may not read a file") }
        let sandbox = try Sandbox()
        let context = try sandbox.context("m", modelfile: "FROM .\n")
        try sandbox.tool(
            "sh",
            [
                "-c",
                "chmod 0700 '\(context)/weights.bin'; chown -R 65534 '\(sandbox.path)'; chown 0 '\(context)/weights.bin'",
            ])
        guard let setpriv = try Tool.find("setpriv") else { return }
        let outcome = try Child(
            setpriv.path,
            ["--reuid=65534", "--regid=65534", "--clear-groups", Sandbox.program, "build", "-t", "m:1", "."],
            environment: sandbox.environment, in: context
        ).wait()
        #expect(
            sandbox.shown(outcome.errors) == """
                Modelfile:1:6: error: cannot open $DIR/desk/m/weights.bin: Permission denied
                  1 | FROM .
                    |      ^
                help: run as a user who may do this, or change the permissions

                """)
        #expect(outcome.status == 2)
        #expect(sandbox.debris == [])
    }
}
