internal import ArgumentParser
internal import Builder
internal import KapsuleCore

/// From which size on a file becomes several layers.
struct LayerSizeFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Split larger files into several layers, for registries with limits: 5GiB. pull joins them.",
            valueName: "size"))
    var maxLayerSize: String?

    func validate() throws { _ = try limit() }

    /// In bytes; nil for no limit.
    func limit() throws -> Int64? {
        guard let text = maxLayerSize else { return nil }
        guard let size = ByteCount.parse(text) else {
            throw ValidationError("'--max-layer-size \(text)' is no size: write bytes, or 500MiB, 5GiB and the like.")
        }
        guard size >= LayerSplit.smallestLimit else {
            throw ValidationError("'--max-layer-size \(text)' is too small: use 1MiB or more.")
        }
        return size
    }
}
