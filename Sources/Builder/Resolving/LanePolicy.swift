public import KapsuleCore

/// Which files are moved together.
///
/// Each large file has a lane to itself, so that its layer is shared between models and moved in parallel; all small
/// ones share one lane, because runtimes stop at 127 layers. Decided by sizes and paths alone, so that equal models
/// give equal layers.
public struct LanePolicy: Sendable {
    /// Files from this size on are large, in bytes.
    public static let largeFrom: Int64 = 16 << 20
    /// Most layers of an image. Docker and older CRI-O stop at 127; this leaves room for what others put on top.
    public static let maximumLayers = 100

    /// Most lanes.
    let maximum: Int

    /// - Parameter reserved: layers that are not lanes: those of a base image, and the one of the Modelfile.
    public init(reserving reserved: Int = 1) {
        maximum = max(2, Self.maximumLayers - reserved)
    }

    /// - Parameter sizes: of the bundle's files in its order, in bytes.
    public func lanes(forSizes sizes: [Int64]) -> [ModelBundle.Lane] {
        let small = sizes.indices.filter { sizes[$0] < Self.largeFrom }
        let large = sizes.indices.filter { sizes[$0] >= Self.largeFrom }
        let room = maximum - (small.isEmpty ? 0 : 1)
        let lanes = Self.packed(Array(large), into: room).map(ModelBundle.Lane.init)
        return (small.isEmpty ? [] : [ModelBundle.Lane(files: Array(small))]) + lanes
    }

    /// One file a lane while that fits; else neighbours share lanes, as evenly as can be.
    private static func packed(_ files: [Int], into room: Int) -> [[Int]] {
        guard files.count > room else { return files.map { [$0] } }
        return (0..<room).map { lane in
            Array(files[lane * files.count / room..<(lane + 1) * files.count / room])
        }
    }
}
