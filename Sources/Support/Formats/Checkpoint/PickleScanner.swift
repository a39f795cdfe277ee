internal import KapsuleCore

/// What a pickle would import, found by reading its opcodes. Nothing is called, made or loaded.
///
/// A stack of texts is followed, since names are put together there; a pickle that hides one from that is said to.
///
/// Source: CPython `Lib/pickletools.py` and `Lib/pickle.py`, protocols 0 to 5.
struct PickleScanner {
    enum Limit {
        /// One pickle, in bytes. Tensors are not in it.
        static let pickle: Int64 = 256 << 20
        /// Values on the stack, and remembered ones.
        static let values = 1 << 20
        /// Texts that are kept, in bytes.
        static let kept = 16 << 20
        static let imports = 4096
    }

    private enum Value {
        case text(String)
        case mark
        case other
    }

    /// `module.name`, in the order they are first imported.
    private(set) var imports: [String] = []
    /// Whether something is imported whose name cannot be told, or more than can be listed.
    private(set) var hidesImports = false

    private var cursor: SourceCursor
    private let part: String
    private var stack: [Value] = []
    private var memo: [UInt64: Value] = [:]
    private var kept = 0
    private var seen: Set<String> = []

    /// - Parameters:
    ///   - cursor: where a pickle begins.
    ///   - part: names it in errors: `data.pkl`.
    init(_ cursor: SourceCursor, part: String) {
        self.cursor = cursor
        self.part = part
    }

    /// Where the next byte is that was not read.
    var position: Int64 { cursor.position }

    /// Reads one pickle to its end.
    ///
    /// - Throws: `.unverified` for what is no pickle.
    mutating func scan() throws {
        (stack, memo) = ([], [:])
        let start = cursor.position
        while true {
            guard cursor.position - start <= Limit.pickle else {
                throw cursor.refusal(
                    "pickle-limit", "has a pickle of more than \(ByteCount.text(Limit.pickle)) in \(part)")
            }
            let opcode: UInt8 = try take()
            if opcode == UInt8(ascii: ".") { return }
            try step(opcode)
            guard stack.count <= Limit.values, memo.count <= Limit.values else {
                throw cursor.refusal("pickle-limit", "has a pickle in \(part) that holds more values than any model's")
            }
        }
    }

    private func malformed(_ why: String) -> KapsuleError {
        cursor.refusal(
            "pickle", "is no pickle in \(part): \(why), at byte \(cursor.position - 1)",
            remedy: "the file is damaged: fetch it again")
    }

    // MARK: Opcodes

    private mutating func step(_ opcode: UInt8) throws {
        switch opcode {
        case 0x80: try pass(1)  // PROTO
        case 0x95: try pass(8)  // FRAME
        case UInt8(ascii: "("): stack.append(.mark)
        case UInt8(ascii: "0"): if stack.popLast() == nil { throw malformed("it takes from an empty stack") }
        case UInt8(ascii: "1"): try popMark()  // POP_MARK
        case UInt8(ascii: "2"): stack.append(stack.last ?? .other)
        // Values of no interest: None, True, False, empty containers.
        case UInt8(ascii: "N"), 0x88, 0x89, UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x8F:
            stack.append(.other)
        // A value for what stands behind the mark: tuple, list, dict, frozenset.
        case UInt8(ascii: "t"), UInt8(ascii: "l"), UInt8(ascii: "d"), 0x91:
            try popMark()
            stack.append(.other)
        case 0x85: try replace(1)  // TUPLE1
        case 0x86: try replace(2)
        case 0x87: try replace(3)
        // Things put into the value below the mark: APPENDS, SETITEMS, ADDITEMS.
        case UInt8(ascii: "e"), UInt8(ascii: "u"), 0x90: try popMark()
        case UInt8(ascii: "a"): try pop(1)  // APPEND
        case UInt8(ascii: "s"): try pop(2)  // SETITEM
        case UInt8(ascii: "b"): try pop(1)  // BUILD
        case UInt8(ascii: "R"), 0x81: try replace(2)  // REDUCE, NEWOBJ
        case 0x92: try replace(3)  // NEWOBJ_EX
        case UInt8(ascii: "Q"): try replace(1)  // BINPERSID
        case 0x97: stack.append(.other)  // NEXT_BUFFER
        case 0x98: break  // READONLY_BUFFER
        default: if try !number(opcode), try !text(opcode), try !memory(opcode) { try global(opcode) }
        }
    }

    private mutating func number(_ opcode: UInt8) throws -> Bool {
        switch opcode {
        case UInt8(ascii: "K"): try pass(1)  // BININT1
        case UInt8(ascii: "M"): try pass(2)
        case UInt8(ascii: "J"): try pass(4)
        case UInt8(ascii: "G"): try pass(8)  // BINFLOAT
        case UInt8(ascii: "I"), UInt8(ascii: "L"), UInt8(ascii: "F"): _ = try line()
        case 0x8A: try passCounted(1)  // LONG1
        case 0x8B: try passCounted(4)
        default: return false
        }
        stack.append(.other)
        return true
    }

    private mutating func text(_ opcode: UInt8) throws -> Bool {
        switch opcode {
        case UInt8(ascii: "X"): try pushText(4)  // BINUNICODE
        case 0x8C: try pushText(1)
        case 0x8D: try pushText(8)
        // Texts of Python 2, which names may be made of as well.
        case UInt8(ascii: "U"): try pushText(1)
        case UInt8(ascii: "T"): try pushText(4)
        case UInt8(ascii: "S"), UInt8(ascii: "V"):
            let line = try line()
            let text = opcode == UInt8(ascii: "S") && line.utf8.count >= 2 ? String(line.dropFirst().dropLast()) : line
            try push(text.contains("\\") ? .other : .text(text))
        case UInt8(ascii: "C"): try pushBytes(1)  // BINBYTES
        case UInt8(ascii: "B"): try pushBytes(4)
        case 0x8E, 0x96: try pushBytes(8)
        case UInt8(ascii: "P"):  // PERSID
            _ = try line()
            stack.append(.other)
        default: return false
        }
        return true
    }

    private mutating func memory(_ opcode: UInt8) throws -> Bool {
        switch opcode {
        case UInt8(ascii: "q"): try put(UInt64(take() as UInt8))
        case UInt8(ascii: "r"): try put(UInt64(take() as UInt32))
        case UInt8(ascii: "p"): try put(try lineNumber())
        case 0x94: try put(UInt64(memo.count))  // MEMOIZE
        case UInt8(ascii: "h"): try get(UInt64(take() as UInt8))
        case UInt8(ascii: "j"): try get(UInt64(take() as UInt32))
        case UInt8(ascii: "g"): try get(try lineNumber())
        default: return false
        }
        return true
    }

    private mutating func global(_ opcode: UInt8) throws {
        switch opcode {
        case UInt8(ascii: "c"):  // GLOBAL
            note(try line(), try line())
            stack.append(.other)
        case UInt8(ascii: "i"):  // INST
            note(try line(), try line())
            try popMark()
            stack.append(.other)
        case UInt8(ascii: "o"):  // OBJ: the class stands behind the mark, and was imported there.
            try popMark()
            stack.append(.other)
        case 0x93:  // STACK_GLOBAL
            guard let name = stack.popLast(), let module = stack.popLast() else {
                throw malformed("it takes from an empty stack")
            }
            if case .text(let module) = module, case .text(let name) = name {
                note(module, name)
            } else {
                hidesImports = true
            }
            stack.append(.other)
        case 0x82:
            try pass(1)  // EXT1: a number that only the loading program knows.
            hidesImports = true
            stack.append(.other)
        case 0x83:
            try pass(2)
            hidesImports = true
            stack.append(.other)
        case 0x84:
            try pass(4)
            hidesImports = true
            stack.append(.other)
        default: throw malformed("there is no opcode 0x\(Hex.encode([opcode]))")
        }
    }

    // MARK: What opcodes do

    private mutating func note(_ module: String, _ name: String) {
        let full = "\(module).\(name)"
        guard !seen.contains(full) else { return }
        guard imports.count < Limit.imports, full.utf8.count < 4096 else { return hidesImports = true }
        seen.insert(full)
        imports.append(full)
    }

    private mutating func take<Number: FixedWidthInteger>() throws -> Number {
        let part = part
        return try cursor.number(part)
    }

    private mutating func pass(_ count: Int64) throws {
        let part = part
        try cursor.skip(count, part)
    }

    private mutating func passCounted(_ width: Int) throws { try pass(Int64(try length(width))) }

    /// The number of bytes that follow.
    private mutating func length(_ width: Int) throws -> UInt64 {
        let length: UInt64 =
            switch width {
            case 1: UInt64(try take() as UInt8)
            case 4: UInt64(try take() as UInt32)
            default: try take()
            }
        guard length <= UInt64(cursor.left) else {
            throw malformed("it claims \(length) bytes where \(cursor.left) are left")
        }
        return length
    }

    private mutating func pushText(_ width: Int) throws {
        let length = try length(width)
        // Names are short; what is longer is no name.
        guard length <= 1024 else {
            try pass(Int64(length))
            return stack.append(.other)
        }
        let part = part
        try push(.text(String(decoding: try cursor.bytes(Int(length), part), as: UTF8.self)))
    }

    private mutating func push(_ value: Value) throws {
        if case .text(let text) = value {
            kept += text.utf8.count
            // A name that is forgotten shows as one that cannot be told.
            guard kept <= Limit.kept else { return stack.append(.other) }
        }
        stack.append(value)
    }

    private mutating func pushBytes(_ width: Int) throws {
        try passCounted(width)
        stack.append(.other)
    }

    private mutating func pop(_ count: Int) throws {
        guard stack.count >= count else { throw malformed("it takes from an empty stack") }
        stack.removeLast(count)
    }

    private mutating func replace(_ count: Int) throws {
        try pop(count)
        stack.append(.other)
    }

    private mutating func popMark() throws {
        while let value = stack.popLast() { if case .mark = value { return } }
        throw malformed("it looks for a mark that was not set")
    }

    private mutating func put(_ place: UInt64) throws {
        guard let value = stack.last else { throw malformed("it remembers the top of an empty stack") }
        memo[place] = value
    }

    private mutating func get(_ place: UInt64) throws {
        guard let value = memo[place] else { throw malformed("it recalls value \(place), which it never had") }
        stack.append(value)
    }

    private mutating func lineNumber() throws -> UInt64 {
        let line = try line()
        guard let number = UInt64(line) else { throw malformed("'\(Printable.text(line.prefix(40)))' is no number") }
        return number
    }

    /// Text up to the end of the line.
    private mutating func line() throws -> String {
        var bytes: [UInt8] = []
        while true {
            let byte: UInt8 = try take()
            if byte == 0x0A { return String(decoding: bytes, as: UTF8.self) }
            guard bytes.count < 65536 else { throw malformed("a line has more than 65536 bytes") }
            bytes.append(byte)
        }
    }
}
