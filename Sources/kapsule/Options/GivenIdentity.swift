internal import KapsuleCore
internal import ModelfileParser

/// What `--model-id` says: `NAME@REVISION`, or `hf://ORG/NAME@COMMIT`, which names a commit of the hub.
struct GivenIdentity {
    /// Without the scheme: what salts and UUIDs follow from.
    let text: String
    /// Where the model is from, when it says so.
    let hub: HubReference?

    /// - Throws: `.usage` for what begins like a reference to the hub and names no commit there.
    init(parsing text: String) throws {
        guard text.hasPrefix("hf://") else {
            self.text = text
            hub = nil
            return
        }
        guard case .hub(let hub) = try SourceReference(parsing: text), hub.isPinned, hub.quantisation == nil else {
            throw KapsuleError(
                .usage, id: "usage.model-id", "'--model-id \(text)' names no commit of the hub",
                remedy: "write hf://ORG/NAME@COMMIT with all 40 digits, or NAME@REVISION for any other model")
        }
        self.text = "\(hub.repository)@\(hub.revision ?? "")"
        self.hub = hub
    }
}
