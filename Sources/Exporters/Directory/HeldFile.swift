import KapsuleCore
import KapsuleIO

/// The content of one file that is not verified yet.
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
    /// Permission bits that a file in the hidden folder gets when all of it has come.
    private let mode: UInt32?
    private var sink: DirectFileSink?
    /// Bytes at the front that were found in the file: written again only where they are not what comes.
    private var kept: Int64
    private var compared: Int64 = 0
    private var block: [UInt8] = []
    /// Makes a place for content that turned out not to equal the existing file.
    private let makePlace: () throws -> Place

    /// - Parameter kept: bytes at the front of a staged file that an earlier run has left.
    init(
        _ place: Place, size: Int64, kept: Int64 = 0, mode: UInt32? = nil, makePlace: @escaping () throws -> Place
    ) throws {
        self.mode = mode
        self.place = place
        self.size = size
        self.kept = kept
        self.makePlace = makePlace
        try open()
    }

    private func open() throws {
        switch place {
        case .unnamed(let atomic): sink = DirectFileSink(atomic.file, size: size)
        case .staged(_, let file): sink = file.map { DirectFileSink($0, size: size) }
        case .existing: sink = nil
        }
        // A small file that does not fit says so soon enough when it is written.
        if let sink, size >= Self.smallestReserved { try sink.file.reserve(size) }
        if let sink, kept > size {
            try sink.file.truncate(to: 0)
            kept = 0
        }
    }

    func write(_ bytes: Span<UInt8>) throws {
        if sink == nil, case .existing(let file?) = place {
            if try equals(bytes, file) { return }
            try leave(file)
        }
        if compared < kept, let file = sink?.file {
            let count = Int(min(Int64(bytes.count), kept - compared))
            if try equals(bytes.extracting(first: count), file) {
                sink = DirectFileSink(file, at: compared, size: size)
                if count < bytes.count { try sink?.write(bytes.extracting(droppingFirst: count)) }
                return
            }
            try file.truncate(to: compared)
            kept = compared
        }
        try sink?.write(bytes)
    }

    /// Takes all of `source`, copied by the kernel where it can.
    func append(_ source: some ByteSource) throws {
        if sink == nil || compared < kept {
            var writer = Writer(file: self)
            try source.read(0..<source.size, into: &writer)
        } else {
            try sink?.append(source)
        }
    }

    /// Becomes the same storage as `source`, where that is a file and the file system can. Says whether it did.
    func clone(_ source: any ByteSource) throws -> Bool {
        guard compared >= kept, let sink else { return false }
        return try sink.clone(source)
    }

    private struct Writer: ByteSink {
        let file: HeldFile
        func write(_ bytes: Span<UInt8>) throws { try file.write(bytes) }
    }

    /// Gives a file in the hidden folder the permissions it will have.
    func permit() throws { if let mode { try sink?.file.setMode(mode) } }

    /// All content has come. A file that has a name is closed, to spare its descriptor.
    func end() throws {
        try sink?.finish()
        sink = nil
        block = []
        switch place {
        case .unnamed: return
        case .staged(let path, _): place = .staged(path, nil)
        case .existing: place = .existing(nil)
        }
    }

    private func equals(_ bytes: Span<UInt8>, _ file: OpenFile) throws -> Bool {
        guard try file.holds(bytes, at: compared, block: &block) else { return false }
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
