import Exporters
import Formats
import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import TestSupport

/// One entry of a layer made by hand, as hostile as needed.
struct Entry {
    var path: String
    var type: Character = "0"
    var content: [UInt8] = []
    var link = ""
    var mode = "0000644"

    static func file(_ path: String, _ text: String, mode: String = "0000644") -> Entry {
        Entry(path: path, content: Array(text.utf8), mode: mode)
    }
    static func directory(_ path: String) -> Entry { Entry(path: path + "/", type: "5") }
    static func symbolicLink(_ path: String, to target: String) -> Entry { Entry(path: path, type: "2", link: target) }
    static func hardLink(_ path: String, to target: String) -> Entry { Entry(path: path, type: "1", link: target) }

    var bytes: [UInt8] {
        var header = TarHeader.file(path, size: Int64(content.count))
        let start = header.count - 512
        header[start + 156] = type.asciiValue!
        header.replaceSubrange(start + 100..<start + 107, with: Array(mode.utf8))
        header.replaceSubrange(start + 157..<start + 157 + link.utf8.count, with: Array(link.utf8))
        header.replaceSubrange(start + 148..<start + 156, with: [UInt8](repeating: 0x20, count: 8))
        let sum = String(header[start...].reduce(0) { $0 + Int($1) }, radix: 8)
        let text = String(repeating: "0", count: 6 - sum.count) + sum
        header.replaceSubrange(start + 148..<start + 155, with: Array(text.utf8) + [0])
        let padding = TarHeader.padding(after: Int64(content.count))
        return header + content + [UInt8](repeating: 0, count: Int(padding))
    }
}

/// How a layer reaches the unpacker.
enum Way: CaseIterable { case stream, gzipStream, file }

func layerBytes(_ entries: [Entry]) -> [UInt8] {
    entries.flatMap(\.bytes) + [UInt8](repeating: 0, count: 1024)
}

func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
    var sink = GzipSink(MemorySink())
    try sink.write(bytes.span)
    try sink.finish()
    return sink.next.bytes
}

/// Unpacks `layers` into `target`.
@discardableResult
func unpack(
    _ layers: [[Entry]], into target: String, by way: Way = .stream, options: UnpackOptions = UnpackOptions()
) throws -> UnpackReport {
    let unpacker = try DirectoryUnpacker(into: target, options: options)
    for entries in layers {
        let bytes = way == .gzipStream ? try gzipped(layerBytes(entries)) : layerBytes(entries)
        let blob = Artifact(digest: Digest.of(bytes), size: Int64(bytes.count))
        switch way {
        case .stream, .gzipStream:
            let compression: LayerCompression = way == .stream ? .none : .gzip
            let layer = unpacker.layer(blob, compression: compression, what: "the layer")
            var done = 0
            while done < bytes.count {
                let count = min(700, bytes.count - done)
                try layer.write(bytes.span.extracting(done..<done + count))
                done += count
            }
            try layer.finish()
        case .file:
            let directory = try TemporaryDirectory()
            let source = try FileSource(path: directory.write("blob", bytes))
            try unpacker.unpack(source, blob, compression: .none, what: "the layer")
        }
    }
    return unpacker.finish()
}

/// Every file, link and directory below `path`, as text.
func listing(_ path: String) throws -> [String] {
    func list(_ directory: String, _ prefix: String) throws -> [String] {
        try Directories.names(in: directory).flatMap { name -> [String] in
            let file = "\(directory)/\(name)"
            guard let status = try FileStatus.of(file, followsLinks: false) else { return [] }
            switch status.kind {
            case .directory:
                return try ["\(prefix)\(name)/ \(String(status.mode, radix: 8))"] + list(file, "\(prefix)\(name)/")
            case .symbolicLink: return ["\(prefix)\(name) -> \(try Directories.linkTarget(file))"]
            default:
                let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: file)), as: UTF8.self)
                return ["\(prefix)\(name) \(String(status.mode, radix: 8)) \(text)"]
            }
        }
    }
    return try list(path, "")
}
