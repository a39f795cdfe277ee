internal import Foundation

/// Directories that look like models, the same from the same seed.
public enum SampleModel {
    /// From this size on a file has a layer to itself, in bytes.
    public static let large = 16 << 20

    /// Some 300 files: nested, with long and non-ASCII names, executable, empty, and two that are large.
    public static func writeMany(to directory: String, reversed: Bool = false, seed: UInt64 = 1) throws {
        var random = SeededGenerator(seed: seed)
        var files: [(path: String, bytes: [UInt8], isExecutable: Bool)] = []
        for index in 0..<280 {
            let folder = ["", "a/", "a/b/c/d/", "tokenizer/\(index % 7)/", "data.d/shard \(index % 3)/"][index % 5]
            let bytes = random.bytes([0, 1, 511, 512, 513, 4096, 10_000][index % 7])
            files.append(("\(folder)file-\(index).json", bytes, index % 11 == 0))
        }
        let long = String(repeating: "long-name-", count: 20)
        let deep = (0..<12).map { "directory-number-\($0)" }.joined(separator: "/")
        for (index, name) in [
            "größe.txt", "モデル/重み.json", "模型.txt", "emoji-🧪.md", "combining-e\u{301}.txt", "\(long).bin",
            "\(deep)/leaf.txt", "with space.txt", "quote'\"$`.txt", "back\\slash.txt", "-dash.txt", "#hash.txt",
            "percent%20.txt", "star*.txt", "[bracket].txt", "semi;colon.txt", "tab\tin name.txt", ".hidden",
        ].enumerated() {
            files.append((name, random.bytes(100 + index), false))
        }
        files.append(("model-00001.safetensors", safetensors(large, seed: seed), false))
        files.append(("weights/model-00002.safetensors", safetensors(large + 1_234_567, seed: seed + 1), false))
        try write(reversed ? files.reversed() : files, to: directory)
    }

    /// A handful of files, one of them large.
    public static func writeFew(to directory: String, seed: UInt64 = 1) throws {
        var random = SeededGenerator(seed: seed)
        try write(
            [
                ("config.json", Array(#"{"seed":\#(seed)}"#.utf8), false),
                ("tokenizer.json", random.bytes(40_000), false),
                ("sub/notes.txt", random.bytes(700), false), ("run.sh", Array("#!/bin/sh\n".utf8), true),
                ("model.safetensors", safetensors(large + 100_000, seed: seed), false),
            ], to: directory)
    }

    /// A handful of files, none of them large.
    public static func writeTiny(to directory: String, seed: UInt64 = 1) throws {
        var random = SeededGenerator(seed: seed)
        try write(
            [
                ("config.json", Array(#"{"seed":\#(seed)}"#.utf8), false),
                ("tokenizer.json", random.bytes(3000), false),
                ("weights.bin", random.bytes(50_000), false),
            ], to: directory)
    }

    private static func write(
        _ files: [(path: String, bytes: [UInt8], isExecutable: Bool)], to directory: String
    ) throws {
        for file in files {
            let url = URL(fileURLWithPath: directory).appendingPathComponent(file.path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(file.bytes).write(to: url)
            if file.isExecutable {
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url.path)
            }
        }
    }

    /// A file of so many bytes with one tensor of random ones.
    public static func safetensors(_ size: Int, seed: UInt64 = 1) -> [UInt8] {
        // Blanks make up for digits, so that the header has one length.
        let count = size - 8 - 120
        var header = Array(
            #"{"__metadata__":{"format":"pt"},"w":{"dtype":"U8","shape":[\#(count)],"data_offsets":[0,\#(count)]}}"#
                .utf8)
        header += [UInt8](repeating: 0x20, count: 120 - header.count)
        return [120, 0, 0, 0, 0, 0, 0, 0] + header + weights(count, seed: seed)
    }

    /// A random megabyte, repeated with a number in front: quick to make, and further apart than gzip looks.
    private static func weights(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed ^ 0xABCD)
        let block = random.bytes(1 << 20)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + block.count)
        var number: UInt8 = 0
        while bytes.count < count {
            bytes.append(number)
            bytes += block
            number &+= 1
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
