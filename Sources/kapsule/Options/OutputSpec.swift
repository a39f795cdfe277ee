internal import ArgumentParser
internal import Exporters
internal import KapsuleCore
internal import KapsuleIO
internal import OCI
internal import Store

/// One `--output`: a directory, or `type=oci,dest=PATH`.
struct OutputSpec: ExpressibleByArgument, Hashable {
    enum Kind: String, CaseIterable {
        /// An OCI layout in a directory.
        case oci
        /// The tags that have a registry's host.
        case registry
        /// The local store.
        case store
    }

    /// Nil where `--format` decides.
    let kind: Kind?
    let destination: String?

    init?(argument text: String) {
        guard text.hasPrefix("type=") || text.contains(",dest=") else {
            guard !text.isEmpty else { return nil }
            (kind, destination) = (nil, text)
            return
        }
        var values: [Substring: Substring] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, ["type", "dest"].contains(pair[0]), values[pair[0]] == nil else { return nil }
            values[pair[0]] = pair[1]
        }
        guard let type = values["type"], let kind = Kind(rawValue: String(type)) else { return nil }
        self.kind = kind
        destination = values["dest"].map(String.init)
        guard (kind == .oci) == (destination?.isEmpty == false) else { return nil }
    }

    static let defaultValueDescription = "type=oci,dest=DIR"
}
