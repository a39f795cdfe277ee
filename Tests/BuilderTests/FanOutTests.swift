import Dispatch
import KapsuleCore
import KapsuleCrypto
import Synchronization
import Testing

@testable import Builder

@Suite struct FanOutTests {
    static let content = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 8)) }

    @Test(arguments: [1, 2, 4])
    func everyOutputGetsEveryByteInOrder(_ count: Int) throws {
        let sinks = (0..<count).map { _ in Recorder() }
        let activity = Activity("lane", total: nil)
        let fanOut = FanOutSink(
            sinks.enumerated().map { ($0, $1) }, needsDigests: true, activity: activity)
        let digests = try [Self.content, [], [7]].enumerated().map { try Self.transfer($1, as: $0, to: fanOut) }
        try fanOut.finish()
        #expect(digests == [Self.content, [], [7]].map { Digest.of($0) })
        for sink in sinks {
            #expect(sink.files == [0: Self.content, 1: [], 2: [7]])
            #expect(sink.ending == .finished)
        }
        #expect(activity.done == Int64(Self.content.count + 1))
    }

    @Test(arguments: [0, 1, 262_144, 1_000_000, 3_000_000])
    func oneThatFailsIsLeftOutAndTheOthersGoOn(_ limit: Int) throws {
        let good = [Recorder(), Recorder()]
        let bad = Recorder(failingAfter: limit)
        let fanOut = FanOutSink(
            [(0, good[0]), (1, bad), (2, good[1])], needsDigests: false, activity: Activity("lane", total: nil))
        _ = try Self.transfer(Self.content, as: 0, to: fanOut)
        try fanOut.finish()
        #expect(fanOut.failures.map(\.output) == [1])
        #expect(bad.ending == .abandoned)
        for sink in good { #expect(sink.files == [0: Self.content] && sink.ending == .finished) }
    }

    @Test func withNobodyLeftTheReadingEnds() throws {
        let sinks = [Recorder(failingAfter: 10), Recorder(failingAfter: 400_000)]
        let fanOut = FanOutSink(
            sinks.enumerated().map { ($0, $1) }, needsDigests: false, activity: Activity("lane", total: nil))
        #expect(throws: SinksFailed.self) { _ = try Self.transfer(Self.content, as: 0, to: fanOut) }
        #expect(Set(fanOut.failures.map(\.output)) == [0, 1])
    }

    @Test func givingUpEndsAnOutputThatHangs() throws {
        let hanging = Recorder(hangs: true)
        let fanOut = FanOutSink(
            [(0, Recorder()), (1, hanging)], needsDigests: false, activity: Activity("lane", total: nil))
        try fanOut.beginFile(0)
        try fanOut.write(Self.content.span.extracting(first: 600_000))
        fanOut.abandon()
        #expect(hanging.ending == .abandoned)
    }

    private static func transfer(_ bytes: [UInt8], as index: Int, to fanOut: FanOutSink) throws -> Digest? {
        try fanOut.beginFile(index)
        for start in stride(from: 0, to: bytes.count, by: 70_001) {
            try fanOut.write(bytes.span.extracting(start..<min(bytes.count, start + 70_001)))
        }
        return try fanOut.endFile(index)
    }
}

/// A lane that keeps what it gets.
private final class Recorder: LaneSink, Sendable {
    enum Ending { case finished, abandoned }

    private struct State {
        var files: [Int: [UInt8]] = [:]
        var current = 0
        var count = 0
        var ending: Ending?
    }

    private struct Full: Error {}

    let digestsFiles = false
    private let limit: Int
    private let hangs: Bool
    private let state = Mutex(State())

    init(failingAfter limit: Int = .max, hangs: Bool = false) {
        self.limit = limit
        self.hangs = hangs
    }

    var files: [Int: [UInt8]] { state.withLock { $0.files } }
    var ending: Ending? { state.withLock { $0.ending } }

    func beginFile(_ index: Int) {
        state.withLock {
            $0.current = index
            $0.files[index] = []
        }
    }

    func write(_ bytes: Span<UInt8>) throws {
        if hangs { try hang() }
        try state.withLock { state in
            unsafe bytes.withUnsafeBufferPointer { unsafe state.files[state.current]?.append(contentsOf: $0) }
            state.count += bytes.count
            if state.count > limit { throw Full() }
        }
    }

    func endFile(_ index: Int) -> Digest? { nil }
    func finish() { state.withLock { $0.ending = .finished } }
    func abandon() { state.withLock { $0.ending = .abandoned } }

    private func hang() throws {
        let never = DispatchSemaphore(value: 0)
        while true {
            try Task.checkNotInterrupted()
            _ = never.wait(timeout: .now() + .milliseconds(10))
        }
    }
}
