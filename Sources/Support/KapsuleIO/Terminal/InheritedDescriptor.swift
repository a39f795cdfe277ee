internal import Glibc
internal import KapsuleCore

/// A descriptor that whoever started us left open for us, as in `:fd=3`.
public enum InheritedDescriptor {
    /// Everything up to its end.
    ///
    /// - Parameter limit: in bytes.
    /// - Throws: `.usage` when it is not open, or there is more.
    public static func readAll(_ descriptor: Int32, limit: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            try Task.checkNotInterrupted()
            let count = unsafe block.withUnsafeMutableBufferPointer {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            if count == 0 { return all }
            if count < 0 {
                if errno == EINTR { continue }
                throw KapsuleError(
                    .usage, id: "io.descriptor", "cannot read from descriptor \(descriptor)",
                    remedy: "open it for the command, as in: kapsule … 3<FILE")
            }
            all += block.prefix(count)
            guard all.count <= limit else {
                throw KapsuleError(
                    .usage, id: "io.descriptor", "descriptor \(descriptor) gives more than \(limit) bytes",
                    remedy: "check what it is opened for")
            }
        }
    }
}
