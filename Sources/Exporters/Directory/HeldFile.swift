import KapsuleCore
import KapsuleIO

/// The content of one file of a layer that is not verified yet.
final class HeldFile {
    enum Place {
        /// Unnamed, and held open.
        case unnamed(AtomicFile)
        /// In the hidden folder, under this path.
        case staged(String, OpenFile?)
        /// As it was found: equal up to where we are. Closed when all of it was compared.
        case existing(OpenFile?)
    }

    private static let smallestReserved: Int64 = 1 << 20

    private(set) var place: Place
    let size: Int64
    private var sink: FileSink?
    private var compared: Int64 = 0
    private var block: [UInt8] = []
    /// Makes a place for content that turned out not to equal the existing file.
    private let makePlace: () throws -> Place

    init(_ place: Place, size: Int64, makePlace: @escaping () throws -> Place) throws {
        self.place = place
        self.size = size
        self.makePlace = makePlace
        try open()
    }

    private func open() throws {
        switch place {
        case .unnamed(let atomic): sink = FileSink(atomic.file)
        case .staged(_, let file): sink = file.map { FileSink($0) }
        case .existing: sink = nil
        }
        // A small file that does not fit says so soon enough when it is written.
        if let sink, size >= Self.smallestReserved { try sink.file.reserve(size) }
    }

    func write(_ bytes: Span<UInt8>) throws {
        if sink == nil, case .existing(let file?) = place {
            if try equals(bytes, file) { return }
            try leave(file)
        }
        try sink?.write(bytes)
    }

    /// Takes all of `source`, copied by the kernel where it can.
    func append(_ source: some ByteSource) throws {
        if sink == nil {
            var writer = Writer(file: self)
            try source.read(0..<source.size, into: &writer)
        } else {
            try sink?.append(source)
        }
    }

    private struct Writer: ByteSink {
        let file: HeldFile
        func write(_ bytes: Span<UInt8>) throws { try file.write(bytes) }
    }

    /// All content has come. A file that has a name is closed, to spare its descriptor.
    func end() {
        sink = nil
        block = []
        switch place {
        case .unnamed: return
        case .staged(let path, _): place = .staged(path, nil)
        case .existing: place = .existing(nil)
        }
    }

    private func equals(_ bytes: Span<UInt8>, _ file: OpenFile) throws -> Bool {
        if block.count < bytes.count { block = [UInt8](repeating: 0, count: bytes.count) }
        var done = 0
        while done < bytes.count {
            let count = try file.read(at: compared + Int64(done), into: &block, limit: bytes.count - done)
            guard count > 0 else { return false }
            for index in 0..<count where block[index] != bytes[done + index] { return false }
            done += count
        }
        compared += Int64(bytes.count)
        return true
    }

    /// What was equal so far is copied from the existing file; what follows is written.
    private func leave(_ file: OpenFile) throws {
        place = try makePlace()
        try open()
        let existing = try FileSource(file, keepsItsName: false)
        try sink?.append(SliceSource(existing, 0..<min(compared, existing.size)))
        block = []
    }
}
