import Foundation
import KapsuleCore
import KapsuleCrypto
import OCI
import TestSupport
import Testing

/// Blobs that come from far away, with interruptions.
@Suite struct BlobFetchTests {
    static let (blob, bytes) = RegistryOracleTests.blob(3_000_000)

    /// A registry with the blob, a client of it, and an empty layout.
    struct Place {
        let registry: TestRegistry
        let directory: TemporaryDirectory
        let layout: ImageLayout

        init(_ character: TestRegistry.Character = TestRegistry.Character()) throws {
            registry = try TestRegistry(character)
            registry.keep(bytes, as: blob.digest.description, in: "acme/m")
            directory = try TemporaryDirectory()
            layout = try ImageLayout.create("\(directory.path)/layout")
        }

        var partial: String { "\(directory.path)/layout/.kapsule-partial/\(blob.digest.hex)" }

        func leavePartial(_ bytes: some Collection<UInt8>) throws {
            try directory.write("layout/.kapsule-partial/\(blob.digest.hex)", Array(bytes))
        }

        @discardableResult
        func fetch() throws -> Activity {
            let client = try RegistryOracleTests.session().client(for: Reference(parsing: "\(registry.host)/acme/m"))
            let activity = Activity("blob", total: blob.size)
            try layout.fetch(blob.artifact, from: client.blob(blob), what: "blob \(blob.digest)", activity)
            return activity
        }

        func expectWhole(line: Int = #line) throws {
            let location = SourceLocation(fileID: #fileID, filePath: #filePath, line: line, column: 1)
            let path = layout.path(of: blob.digest)
            #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) == bytes, sourceLocation: location)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o444, sourceLocation: location)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: layout.path).sorted() == [
                    ".kapsule.lock", "blobs", "index.json", "oci-layout",
                ], sourceLocation: location)
        }
    }

    /// How far an interrupted run had come.
    @Test(arguments: [0, 1, 1_500_000, 2_999_999, 3_000_000]) func asksOnlyForWhatIsMissing(_ count: Int) throws {
        let place = try Place()
        try place.leavePartial(Self.bytes[..<count])
        let activity = try place.fetch()
        try place.expectWhole()
        #expect(place.registry.bytesSent == Int64(Self.bytes.count - count))
        #expect(activity.done == Self.blob.size)
    }

    @Test func keepsWhatHasComeWhenTheRegistryGoesAway() throws {
        let place = try Place()
        place.registry.plan(.answerCut(after: 2_000_000), on: "GET", "/blobs/")
        for _ in 0..<4 { place.registry.plan(.lostAnswer, on: "GET", "/blobs/") }
        let error = #expect(throws: KapsuleError.self) { try place.fetch() }
        #expect(error?.code == .unavailable)
        let left = try Data(contentsOf: URL(fileURLWithPath: place.partial))
        #expect([UInt8](left) == Array(Self.bytes[..<2_000_000]))
        let mode = try FileManager.default.attributesOfItem(atPath: place.partial)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try !place.layout.contains(Self.blob.artifact))
        place.registry.resetCounters()
        try place.fetch()
        try place.expectWhole()
        #expect(place.registry.bytesSent == 1_000_000)
    }

    @Test(arguments: ["spoilt", "too long"]) func fetchesAllAnewWhereWhatWasLeftIsWrong(_ how: String) throws {
        let place = try Place()
        try place.leavePartial(how == "spoilt" ? [0] + Self.bytes[1..<2_000_000] : Self.bytes + [0])
        try place.fetch()
        try place.expectWhole()
    }

    @Test func fetchesOnceMoreWhatIsSpoiltOnTheWay() throws {
        let place = try Place()
        place.registry.plan(.corrupt(at: 77_777), on: "GET", "/blobs/")
        try place.fetch()
        try place.expectWhole()
        #expect(place.registry.bytesSent == 2 * Self.blob.size)
    }

    @Test func refusesWhatIsSpoiltTwiceAndKeepsNothingOfIt() throws {
        let place = try Place()
        place.registry.keep([1] + Self.bytes.dropFirst(), as: Self.blob.digest.description, in: "acme/m")
        let error = #expect(throws: KapsuleError.self) { try place.fetch() }
        #expect(error?.code == .unverified)
        #expect(error?.message.contains(Self.blob.digest.description) == true)
        #expect(place.registry.bytesSent == 2 * Self.blob.size)
        #expect(!FileManager.default.fileExists(atPath: place.partial))
        #expect(try !place.layout.contains(Self.blob.artifact))
    }

    /// A link in its place would lead the bytes elsewhere.
    @Test func doesNotFollowALink() throws {
        let place = try Place()
        let victim = try place.directory.write("victim", "mine")
        try FileManager.default.createDirectory(
            atPath: "\(place.layout.path)/.kapsule-partial", withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(atPath: place.partial, withDestinationPath: victim)
        try place.fetch()
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "mine")
        #expect(try place.layout.contains(Self.blob.artifact))
    }

    @Test func twoAtOnceDoNotDisturbEachOther() async throws {
        let place = try Place()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask(executorPreference: RegistryOracleTests.threads) { try place.fetch() } }
            try await group.waitForAll()
        }
        try place.expectWhole()
    }
}
