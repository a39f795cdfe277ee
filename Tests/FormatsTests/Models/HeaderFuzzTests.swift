import Formats
import KapsuleCore
import TestSupport
import Testing

/// Whatever the bytes: a value or a `KapsuleError` with code `.unverified`, soon, and no trap.
@Suite struct HeaderFuzzTests {
    @Test func randomBytesBehindAMagic() throws {
        let magics: [[UInt8]] = [
            Array("GGUF".utf8) + [3, 0, 0, 0], Array("GGUF".utf8) + [0, 0, 0, 3], [0x50, 0x4B, 3, 4], [0x80, 2],
            [0x80, 4],
            [40, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x22], [],
        ]
        try run(400) { random in
            let count = Int.random(in: 0...300, using: &random)
            return (magics.randomElement(using: &random) ?? []) + random.bytes(count)
        }
    }

    @Test func damagedGGUF() throws {
        try run(400) { random in Self.damaged(GGUFBytes.sample(isBigEndian: .random(using: &random)).bytes, &random) }
    }

    // Fields that are whole and wrong: counts, lengths, types and offsets from the edges of their ranges.
    @Test func lyingGGUF() throws {
        try run(400) { random in
            var file = GGUFBytes.sample(isBigEndian: .random(using: &random))
            for _ in 0..<Int.random(in: 1...3, using: &random) { Self.lie(&file, &random) }
            return file.bytes
        }
    }

    @Test func damagedSafetensors() throws {
        try run(300) { random in
            let names = (0..<4).map { "tensor.\($0)" }
            let entries = names.enumerated().map { index, name in
                #""\#(name)":{"dtype":"F16","shape":[2,2],"data_offsets":[\#(index * 8),\#(index * 8 + 8)]}"#
            }
            return Self.damaged(safetensors("{\(entries.joined(separator: ","))}", data: 32), &random)
        }
    }

    // JSON put together from pieces, so that it is often nearly right.
    @Test func safetensorsOfPieces() throws {
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"w\"", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"F32\"", "\"U8\"",
            "0", "1",
            "4", "-1", "1e9", "18446744073709551615", "9223372036854775807", "null", "true", "\"__metadata__\"", " ",
            "\\",
            "\"\\u0000\"", "\"\\ud800\"", #""w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#,
        ]
        try run(400) { random in
            let count = Int.random(in: 1...14, using: &random)
            let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            return safetensors(Bool.random(using: &random) ? "{\(text)}" : text, data: 1)
        }
    }

    @Test func damagedArchivesAndPickles() throws {
        guard TestProgram.python.isUsable else { return try Tool.skip("python3 is not there") }
        let folder = try TemporaryDirectory()
        try TestProgram.python.check([TestProgram.directory + "/checkpoint_files.py", "write", folder.path])
        let files = try ["state.zip", "script.zip", "legacy.bin", "plain-2.pkl", "plain-4.pkl"].map {
            try folder.read($0)
        }
        try run(400) { random in Self.damaged(files.randomElement(using: &random) ?? [], &random) }
    }

    // MARK: Damage

    /// Flipped bytes, cuts, doubled and removed stretches.
    private static func damaged(_ whole: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = whole
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
            switch Int.random(in: 0...5, using: &random) {
            case 0: bytes.removeLast(bytes.count - place)
            case 1: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            case 4: for index in place..<min(end, place + 8) { bytes[index] = 0xFF }
            default: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
            }
        }
        return bytes
    }

    private static let numbers: [UInt64] = [
        0, 1, 31, 32, 64, 4096, 1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63, .max - 31, .max,
    ]

    private static func lie(_ file: inout GGUFBytes, _ random: inout SeededGenerator) {
        let number = numbers.randomElement(using: &random) ?? 0
        let small = UInt32(truncatingIfNeeded: number)
        switch Int.random(in: 0...9, using: &random) {
        case 0: file.claimedKeys = number
        case 1: file.claimedTensors = number
        case 2: file.version = small
        case 3: file.add("general.alignment", small)
        case 4: file.add("key.\(number)", type: 8, file.number(number))
        case 5: file.add("list", type: 9, file.number(small) + file.number(number))
        case 6: file.add("type", type: small, file.number(number))
        case 7: file.addTensor("t", [number, 1, 32], type: 0, offset: 0)
        case 8: file.addTensor("u", [32], type: small, offset: number)
        default: file.addTensor("v", [32, 2], type: 12, offset: number)
        }
    }

    private func run(_ rounds: Int, _ make: (inout SeededGenerator) -> [UInt8]) throws {
        let seed = SeededGenerator.campaignSeed
        var random = SeededGenerator(seed: seed)
        let names = ["m.gguf", "m.safetensors", "m.bin", "config.json", "model.safetensors.index.json", "x"]
        for round in 0..<SeededGenerator.campaignRounds(rounds) {
            let bytes = make(&random)
            let name = names.randomElement(using: &random) ?? ""
            do {
                _ = try ModelFile.read(
                    MemorySource(bytes), name: name, what: name, keeping: ["tokenizer.ggml.tokens", "list"])
            } catch {
                let code = (error as? KapsuleError)?.code
                try #require(
                    code == .unverified, "KAPSULE_TEST_SEED=\(seed), round \(round), \(name): \(bytes): \(error)")
            }
        }
    }
}
