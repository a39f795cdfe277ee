internal import CLinux
internal import Glibc
internal import KapsuleCore

/// Standard input.
public enum StandardInput {
    public static var isTerminal: Bool { isatty(0) == 1 }

    /// Everything up to its end.
    ///
    /// - Parameter limit: in bytes.
    /// - Throws: `.usage` when there is more.
    public static func readAll(limit: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        while let block = try readBlock() {
            all += block
            guard all.count <= limit else {
                throw KapsuleError(
                    .usage, id: "input.too-long", "standard input has more than \(ByteCount.text(Int64(limit)))",
                    remedy: "check what is piped in")
            }
        }
        return all
    }

    /// One line that is not shown while it is typed, without its end.
    ///
    /// - Parameter prompt: written to the terminal.
    public static func readSecretLine(prompt: String) throws -> String {
        var settings = termios()
        guard unsafe tcgetattr(0, &settings) == 0 else { throw KapsuleError.system("use the terminal", errno: errno) }
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        unsafe tcsetattr(0, TCSAFLUSH, &silent)
        defer { unsafe tcsetattr(0, TCSAFLUSH, &settings) }
        try StandardStream.error.write(prompt)
        var line: [UInt8] = []
        while let block = try readBlock() {
            line += block
            if block.contains(UInt8(ascii: "\n")) { break }
        }
        try StandardStream.error.write("\n")
        return String(decoding: line.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }

    private static func readBlock() throws -> [UInt8]? {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            try Task.checkNotInterrupted()
            let count = unsafe block.withUnsafeMutableBufferPointer { unsafe read(0, $0.baseAddress, $0.count) }
            if count > 0 { return Array(block.prefix(count)) }
            if count == 0 { return nil }
            if errno != EINTR { throw KapsuleError.system("read standard input", errno: errno) }
        }
    }
}
