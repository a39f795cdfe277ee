internal import KapsuleCore
internal import KapsuleCrypto

/// What somebody says of an image whom it should be believed for: never read from the image itself.
public struct ImageClaim: Sendable {
    public var reference: RootReference?
    /// Beats the reference's.
    public var hashOffset: Int64?
    public var salt: [UInt8]?
    /// `NAME@REVISION`: salt and UUIDs follow from it.
    public var modelID: String?
    /// Of an encrypted disk: 64 bytes.
    public var masterKey: [UInt8]?

    public init(
        reference: RootReference? = nil, hashOffset: Int64? = nil, salt: [UInt8]? = nil, modelID: String? = nil,
        masterKey: [UInt8]? = nil
    ) {
        self.reference = reference
        self.hashOffset = hashOffset
        self.salt = salt
        self.modelID = modelID
        self.masterKey = masterKey
    }

    /// The salt as said, or as it follows from the model.
    var knownSalt: [UInt8]? { salt ?? modelID.map { Digest.of($0).bytes } }

    /// - Throws: `.usage` when a reference is another model's.
    func checkIdentity(_ reference: RootReference, isEncrypted: Bool) throws {
        guard let modelID, let uuid = reference.uuid else { return }
        let expected = UUIDBytes(name: "\(modelID)-\(isEncrypted ? "emwp-outer" : "inner")")
        guard expected == uuid else {
            throw KapsuleError(
                .usage, id: "verity.other-model",
                "the reference is not of \(modelID): its UUID is \(uuid), and that model's is \(expected)",
                remedy: "give the reference and the --model-id of one model")
        }
    }
}
