/// Passes bytes on to another sink, and says how many.
public struct CountedSink<Base: ByteSink>: ByteSink {
    public private(set) var base: Base
    private let activity: Activity?

    public init(_ base: Base, _ activity: Activity?) {
        self.base = base
        self.activity = activity
    }

    public mutating func write(_ bytes: Span<UInt8>) throws {
        try base.write(bytes)
        activity?.advance(by: bytes.count)
    }
}
