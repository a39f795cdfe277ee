import Builder
import KapsuleCore
import Testing

@Suite struct LanePolicyTests {
    static let large = LanePolicy.largeFrom

    @Test(
        arguments: [
            ([], []), ([1], [[0]]), ([1, 2], [[0, 1]]), ([large], [[0]]), ([large - 1, large, 1], [[0, 2], [1]]),
            ([large, large], [[0], [1]]), ([0], [[0]]),
        ] as [([Int64], [[Int]])])
    func smallFilesShareTheFirstLane(_ sizes: [Int64], _ lanes: [[Int]]) {
        #expect(LanePolicy().lanes(forSizes: sizes).map(\.files) == lanes)
    }

    @Test(arguments: [97, 98, 99, 100, 500, 5000])
    func neverMoreLayersThanRuntimesMount(_ count: Int) {
        let lanes = LanePolicy(reserving: 3).lanes(forSizes: [1] + Array(repeating: Self.large, count: count))
        #expect(lanes.count + 3 <= LanePolicy.maximumLayers)
        #expect(lanes.flatMap(\.files).sorted() == Array(0...count))
        #expect(lanes.allSatisfy { !$0.files.isEmpty })
    }
}
