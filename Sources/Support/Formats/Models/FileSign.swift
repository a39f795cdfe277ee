public import KapsuleCore

/// What the first bytes of a file say that it is. Names are not trusted, and nothing is loaded.
public enum FileSign: Sendable, Hashable {
    /// A few lines in place of a file that Git LFS has: what fetches it was not run.
    case lfsPointer
    /// A page of a web site, as servers send where a file should be.
    case webPage
    case empty
    case gguf
    /// Forms before GGUF, by name: `GGML`.
    case obsolete(String)
    case safetensors
    case zip, tar, hdf5, tensorFlowLite, numpy, parquet, onnx
    /// A pickle, of PyTorch or not.
    case pickle
    case unknown

    /// Bytes from the beginning that are needed to tell.
    public static let headSize: Int64 = 512

    /// Reads the first bytes of a file.
    public static func head(of source: any ByteSource) throws -> [UInt8] {
        var sink = MemorySink()
        let size = min(source.size, headSize)
        if size > 0 { try source.read(0..<size, into: &sink) }
        return sink.bytes
    }

    /// - Parameters:
    ///   - head: the first `headSize` bytes, or all of a shorter file.
    ///   - name: tells ONNX, which has no magic.
    public init(head: [UInt8], size: Int64, name: String) {
        func begins(_ text: String, at offset: Int = 0) -> Bool { head.dropFirst(offset).starts(with: text.utf8) }
        let obsolete = ["lmgg": "GGML", "fmgg": "GGMF", "tjgg": "GGJT", "algg": "GGLA"]
        if head.isEmpty {
            self = .empty
        } else if begins("version https://git-lfs.github.com/spec/v1") {
            self = .lfsPointer
        } else if Self.isWebPage(head) {
            self = .webPage
        } else if begins("GGUF") || begins("FUGG") {
            self = .gguf
        } else if let old = obsolete.first(where: { begins($0.key) })?.value {
            self = .obsolete(old)
        } else if begins("PK\u{3}\u{4}") || begins("PK\u{5}\u{6}") {
            self = .zip
        } else if head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) {
            self = .pickle
        } else if begins("ustar", at: 257) {
            self = .tar
        } else if head.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .hdf5
        } else if begins("TFL3", at: 4) {
            self = .tensorFlowLite
        } else if head.starts(with: [0x93] + Array("NUMPY".utf8)) {
            self = .numpy
        } else if begins("PAR1") {
            self = .parquet
        } else if Safetensors.isLikely(head, size: size) {
            self = .safetensors
        } else if head[0] == 8, name.lowercased().hasSuffix(".onnx") {
            self = .onnx
        } else {
            self = .unknown
        }
    }

    private static func isWebPage(_ head: [UInt8]) -> Bool {
        let text = String(decoding: head.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(14), as: UTF8.self)
        return ["<!doctype html", "<html"].contains { text.lowercased().hasPrefix($0) }
    }

    /// For people; nil for what is not recognised, or has a description of its own.
    public var words: String? {
        switch self {
        case .lfsPointer: "Git LFS pointer, not the file itself"
        case .webPage: "web page"
        case .empty: "empty file"
        case .obsolete(let name): "\(name) file, obsolete"
        case .zip: "ZIP archive"
        case .tar: "tar archive"
        case .hdf5: "HDF5 file, as Keras has it"
        case .tensorFlowLite: "TensorFlow Lite model"
        case .numpy: "NumPy array"
        case .parquet: "Parquet table"
        case .onnx: "ONNX model"
        case .gguf, .safetensors, .pickle, .unknown: nil
        }
    }
}
