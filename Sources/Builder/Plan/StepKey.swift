public import KapsuleCore
internal import KapsuleCrypto

/// What decides the outcome of a step, boiled down to 32 bytes. Equal keys mean equal bytes.
///
/// Every value is mixed in with its label and its length, so that two fields never run together into one.
public struct StepKey: Sendable {
    private var text: [UInt8] = []
    private var isComplete = true

    public init(_ kind: String) { mix("kind", kind) }

    public mutating func mix(_ label: String, _ value: String) {
        text += Array("\(label.utf8.count):\(label)=\(value.utf8.count):\(value);".utf8)
    }

    public mutating func mix(_ label: String, _ value: Int64) { mix(label, String(value)) }
    public mutating func mix(_ label: String, _ value: Bool) { mix(label, value ? "1" : "0") }

    /// Nil says that the digest is not known yet; the step then has no key.
    public mutating func mix(_ label: String, _ value: Digest?) {
        guard let value else {
            isComplete = false
            return
        }
        mix(label, value.description)
    }

    /// Nil while something that decides the outcome is unknown.
    public var digest: Digest? { isComplete ? Digest.of(text) : nil }
}
