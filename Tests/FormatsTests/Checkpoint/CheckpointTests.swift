import Formats
import Foundation
import KapsuleCore
import TestSupport
import Testing

/// Checkpoints as PyTorch lays them out, and pickles of every protocol, made by Python's own pickle and zipfile.
@Suite(.enabled(if: TestProgram.python.isUsable, "needs python3"))
struct CheckpointTests {
    private static let tool = TestProgram.directory + "/checkpoint_files.py"
    /// Made once: a run of Python for every case would take longer than the cases.
    private static let made = Result {
        let folder = try TemporaryDirectory()
        try TestProgram.python.check([tool, "write", folder.path])
        return folder
    }
    private let folder: TemporaryDirectory

    init() throws { folder = try Self.made.get() }

    private func read(_ name: String) throws -> Checkpoint? { try read(folder.read(name), name) }

    private func read(_ bytes: [UInt8], _ name: String) throws -> Checkpoint? {
        try Checkpoint.read(MemorySource(bytes), head: Array(bytes.prefix(512)), what: name)
    }

    @Test func tellsTheForms() throws {
        let state = try #require(try read("state.zip"))
        #expect(state.form == .zip)
        #expect(state.imports == ["torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "collections.OrderedDict"])
        #expect(state.unusualImports == [])
        #expect(!state.hidesImports)
        #expect(state.tensorSize == 128)
        #expect(state.risk == "loading it may run code")
        #expect(state.advice == "convert it to safetensors")
        #expect(try read("script.zip")?.form == .torchScript)
        #expect(try read("other.zip") == nil)
        let legacy = try #require(try read("legacy.bin"))
        #expect(legacy.form == .legacy)
        #expect(legacy.imports == state.imports)
        #expect(try read("plain-4.pkl")?.form == .pickle)
        #expect(try read([UInt8](repeating: 7, count: 600), "x") == nil)
    }

    @Test func namesWhatIsDangerous() throws {
        for name in ["evil.zip", "evil-legacy.bin"] {
            let evil = try #require(try read(name))
            #expect(evil.dangerousImports == ["posix.system"])
            #expect(evil.risk == "loading it runs posix.system")
            #expect(evil.advice.hasPrefix("do not load it"))
        }
        let unusual = try #require(try read("unusual.zip"))
        #expect(unusual.dangerousImports == [])
        #expect(unusual.unusualImports == ["pytorch_lightning.utilities.parsing.AttributeDict"])
        #expect(
            unusual.risk == "loading it runs code; beside tensors it needs "
                + "pytorch_lightning.utilities.parsing.AttributeDict")
        for name in ["instance.pkl", "object.pkl", "hidden.pkl"] {
            #expect(try read(name)?.dangerousImports == ["os.system"], "\(name)")
        }
    }

    @Test(arguments: ["packed.zip", "computed.pkl", "extension.pkl"])
    func saysThatNamesAreHidden(_ name: String) throws {
        let checkpoint = try #require(try read(name))
        #expect(checkpoint.hidesImports)
        #expect(checkpoint.risk == "loading it runs code whose names it hides")
    }

    // Python's own unpickler says what it is asked for, without importing it.
    @Test(arguments: (0..<6).map { "plain-\($0).pkl" } + ["instance.pkl", "object.pkl", "hidden.pkl"])
    func importsWhatPythonIsAskedFor(_ name: String) throws {
        let asked = try TestProgram.python.check([Self.tool, "imports", "\(folder.path)/\(name)"])
        let bytes = try folder.read(name)
        // Protocols 0 and 1 have no magic, and no checkpoint begins with them.
        guard bytes[0] == 0x80 else { return #expect(try read(bytes, name) == nil) }
        #expect(try read(bytes, name)?.imports == asked.split(separator: "\n").map(String.init))
    }

    // MARK: Refusals

    private func refusal(_ bytes: [UInt8]) -> KapsuleError? {
        do {
            _ = try read(bytes, "m.bin")
            return nil
        } catch {
            return error as? KapsuleError
        }
    }

    /// The first place of these bytes.
    private func place(of bytes: [UInt8], in file: [UInt8]) throws -> Int {
        try #require((0..<file.count - bytes.count).first { file[$0..<$0 + bytes.count].elementsEqual(bytes) })
    }

    @Test func refusesDamagedArchives() throws {
        let whole = try folder.read("state.zip")
        let end = whole.count - 22
        let table = try place(of: [0x50, 0x4B, 1, 2], in: whole)
        func refused(_ change: (inout [UInt8]) -> Void) -> String {
            var bytes = whole
            change(&bytes)
            guard let error = refusal(bytes) else { return "nothing" }
            #expect(error.code == .unverified && error.message.hasPrefix("m.bin "))
            return "\(error.id): \(error.message.dropFirst("m.bin ".count))"
        }
        #expect(refused { $0.removeLast() } == "zip.truncated: ends without the table of contents of a ZIP archive")
        #expect(refused { $0.removeLast($0.count - 10) } == "zip.truncated: ends before its table of contents")
        #expect(refused { $0[end + 4] = 1 } == "zip.volumes: is one volume of a ZIP archive that was split")
        #expect(
            refused { $0[end + 19] = 0x7F } == "zip.directory: has a table of contents that lies outside of it")
        #expect(refused { $0[end + 10] = 200 }.hasPrefix("zip.count: claims 200 members"))
        #expect(
            refused { $0[table] = 0 } == "zip.directory: has a table of contents that is damaged at member 1")
        #expect(
            refused { $0[table + 45] = 0x7F } == "zip.member: has a member 'archive/data.pkl' that lies outside of it")
        #expect(
            refused { $0[table + 21] += 1 }
                == "zip.overlap: has a member 'archive/data.pkl' that runs into what follows it")
        #expect(
            refused {
                $0[table + 27] = 0x7F; $0[table + 24] = 1
            }
                == "zip.header: stores its member 'archive/data.pkl' in another size than it has")
        #expect(
            refused { $0[30] = UInt8(ascii: "b") }
                == "zip.header: says two different things of its member 'archive/data.pkl'")
        #expect(
            refused { $0[8] = 8 } == "zip.header: says two different things of its member 'archive/data.pkl'")
    }

    @Test(
        arguments: [
            ([0x80, 0x02], "checkpoint.truncated", "ends at byte 2, within its pickle"),
            ([0x80, 0x02, 0xFF], "checkpoint.pickle", "there is no opcode 0xff, at byte 2"),
            ([0x80, 0x02, 0x52], "checkpoint.pickle", "it takes from an empty stack, at byte 2"),
            ([0x80, 0x02, 0x30], "checkpoint.pickle", "it takes from an empty stack, at byte 2"),
            ([0x80, 0x02, 0x93], "checkpoint.pickle", "it takes from an empty stack, at byte 2"),
            ([0x80, 0x02, 0x74], "checkpoint.pickle", "it looks for a mark that was not set, at byte 2"),
            ([0x80, 0x02, 0x68, 0x05], "checkpoint.pickle", "it recalls value 5, which it never had, at byte 3"),
            ([0x80, 0x02, 0x71, 0x05], "checkpoint.pickle", "it remembers the top of an empty stack, at byte 3"),
            ([0x80, 0x02, 0x67, 0x78, 0x0A], "checkpoint.pickle", "'x' is no number, at byte 4"),
            (
                [0x80, 0x02, 0x58, 0xFF, 0xFF, 0xFF, 0x7F], "checkpoint.pickle",
                "claims 2147483647 bytes where 0 are left"
            ),
            ([0x80, 0x02, 0x42, 9, 0, 0, 0, 1], "checkpoint.pickle", "claims 9 bytes where 1 are left"),
            (
                [0x80, 0x04, 0x8D, 255, 255, 255, 255, 255, 255, 255, 255], "checkpoint.pickle",
                "claims 18446744073709551615"
            ),
            ([0x80, 0x02, 0x8B, 0xFF, 0xFF, 0xFF, 0xFF], "checkpoint.pickle", "claims 4294967295 bytes"),
            ([0x80, 0x04, 0x95, 1, 2], "checkpoint.truncated", "within its pickle"),
        ] as [([UInt8], String, String)])
    func refusesWhatIsNoPickle(_ bytes: [UInt8], _ id: String, _ says: String) throws {
        let error = try #require(refusal(bytes))
        #expect(error.id == id)
        #expect(error.message.contains(says), "\(error.message)")
    }

    // Weights of other programs may begin as a pickle does. One that breaks off has run by then.
    @Test func takesNoChanceForAPickle() throws {
        func suspect(_ bytes: [UInt8]) throws -> Checkpoint? {
            try Checkpoint.read(MemorySource(bytes), head: Array(bytes.prefix(512)), what: "m.bin", isExpected: false)
        }
        #expect(try suspect([0x80, 2, 0xFF, 1, 2, 3]) == nil)
        #expect(try suspect([0x80, 2, 0x4E, 0x2E])?.imports == [])
        let broken = try suspect([0x80, 2] + Array("cos\nsystem\n(S'true'\ntR".utf8) + [0xFF])
        #expect(broken?.dangerousImports == ["os.system"])
        #expect(broken?.hidesImports == true)
    }

    // Every pickle of the folder, cut anywhere, is refused and not misread.
    @Test func refusesAPickleThatIsCutAnywhere() throws {
        let whole = try folder.read("plain-4.pkl")
        for length in 2..<whole.count { #expect(refusal(Array(whole.prefix(length))) != nil, "\(length)") }
    }
}
