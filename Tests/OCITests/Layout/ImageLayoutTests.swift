import Foundation
import KapsuleCore
import KapsuleCrypto
import KapsuleIO
import OCI
import TestSupport
import Testing

@Suite struct ImageLayoutTests {
    let directory: TemporaryDirectory
    let layout: ImageLayout

    init() throws {
        directory = try TemporaryDirectory()
        layout = try ImageLayout.create(directory.path + "/layout")
    }

    @Test func aNewLayoutHasTheBytesTheSpecificationAsksFor() throws {
        #expect(try directory.read("layout/oci-layout") == Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
        #expect(
            try directory.read("layout/index.json")
                == Array(
                    #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#.utf8))
        let again = try ImageLayout.create(directory.path + "/layout")
        #expect(try again.entries().isEmpty)
    }

    @Test func refusesADirectoryOfSomethingElse() throws {
        try directory.write("other/file", "x")
        #expect { try ImageLayout.create(directory.path + "/other") } throws: {
            ($0 as? KapsuleError)?.id == "layout.occupied"
        }
        #expect { try ImageLayout.open(directory.path + "/other") } throws: {
            ($0 as? KapsuleError)?.id == "layout.none"
        }
        try directory.write("new/oci-layout", #"{"imageLayoutVersion":"2.0.0"}"#)
        #expect { try ImageLayout.open(directory.path + "/new") } throws: {
            ($0 as? KapsuleError)?.id == "layout.version"
        }
    }

    @Test func aBlobIsInvisibleUntilCommitted() throws {
        let content = Array("content".utf8)
        do {
            let writer = try layout.writer()
            try writer.write(content.span)
            #expect(try Directories.names(in: layout.path + "/blobs/sha256").isEmpty)
        }
        #expect(try Directories.names(in: layout.path + "/blobs/sha256").isEmpty)
        let blob = try layout.put(content)
        #expect(try Directories.names(in: layout.path + "/blobs/sha256") == [Digest.of(content).hex])
        #expect(try layout.contains(blob))
        #expect(try layout.blob(blob).readAll(limit: 100, what: "") == content)
        #expect(try FileStatus.of(layout.path(of: blob.digest), followsLinks: false)?.mode == 0o444)
        #expect(try layout.put(content) == blob)
    }

    @Test func aBlobMustBeWhatWasPromised() throws {
        let writer = try layout.writer()
        try writer.reserve(1 << 20)
        try writer.append(MemorySource([1, 2, 3]))
        #expect { try writer.commit(expecting: Artifact(digest: Digest.of([1, 2, 4]), size: 3)) } throws: {
            ($0 as? KapsuleError)?.code == .unverified
        }
        #expect { try layout.put(MemorySource([1], digest: Digest.of([2]))) } throws: {
            ($0 as? KapsuleError)?.code == .unverified
        }
        #expect(try Directories.names(in: layout.path + "/blobs/sha256").isEmpty)
    }

    @Test func aReservationLeavesTheSizeAsWritten() throws {
        let writer = try layout.writer()
        try writer.reserve(1 << 20)
        try writer.write([1, 2, 3].span)
        let blob = try writer.commit()
        let status = try #require(try FileStatus.of(layout.path(of: blob.digest), followsLinks: false))
        #expect(status.size == 3)
        #expect(status.allocated <= 8192)
    }

    @Test func aTruncatedBlobIsReplacedAndNeverServed() throws {
        let blob = try layout.put([1, 2, 3])
        try FileManager.default.removeItem(atPath: layout.path(of: blob.digest))
        try directory.write("layout/blobs/sha256/" + blob.digest.hex, [1])
        #expect(try !layout.contains(blob))
        #expect { try layout.blob(blob) } throws: { ($0 as? KapsuleError)?.id == "layout.blob-size" }
        #expect(try layout.put([1, 2, 3]) == blob)
        #expect(try layout.contains(blob))
    }

    @Test func aReaderDoesNotMindThatItsBlobIsLinkedElsewhere() throws {
        let blob = try layout.put([UInt8](repeating: 1, count: 300_000))
        let source = try layout.blob(blob)
        try FileManager.default.linkItem(atPath: layout.path(of: blob.digest), toPath: directory.path + "/second")
        #expect(try source.readAll(limit: 1 << 20, what: "").count == 300_000)
    }

    @Test func aFullDiskIsSaidBeforeTheBlobIsWritten() throws {
        let disk = directory.path + "/disk"
        try Directories.make(disk)
        guard let mount = try Tool.find("mount"), let umount = try Tool.find("umount") else { return }
        guard (try? mount.run(["-t", "tmpfs", "-o", "size=1m", "none", disk])) != nil else {
            try Tool.skip("this user cannot mount a small tmpfs")
            return
        }
        defer { _ = try? umount.run(["-l", disk]) }
        let small = try ImageLayout.create(disk)
        let content = [UInt8](repeating: 1, count: 2 << 20)
        #expect { try small.put(content) } throws: { ($0 as? KapsuleError)?.code == .noSpace }
        #expect { try small.writer().write(content.span) } throws: { ($0 as? KapsuleError)?.code == .noSpace }
        #expect(try Directories.names(in: disk + "/blobs/sha256").isEmpty)
        #expect(try small.contains(small.put(Array(content.prefix(1000)))))
    }

    @Test func documentsAreHashedWhenRead() throws {
        let (descriptor, document) = try putImage(in: layout, "one")
        #expect(try layout.manifest(descriptor) == document)
        #expect(try layout.config(document.content.config).content.platform.os == "linux")
        let path = layout.path(of: descriptor.digest)
        try FileManager.default.removeItem(atPath: path)
        var bytes = document.bytes
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        #expect { try layout.manifest(descriptor) } throws: { ($0 as? KapsuleError)?.code == .unverified }
    }
}

/// A small image: config, one layer, manifest.
func putImage(in layout: ImageLayout, _ text: String) throws -> (Descriptor, Document<Manifest>) {
    let layer = try layout.put(Array("layer \(text)".utf8))
    let config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"), diffIDs: [layer.digest]).encoded()
    _ = try layout.put(config)
    let manifest = Manifest(
        config: Descriptor(mediaType: MediaType.config, digest: config.digest, size: config.size),
        layers: [Descriptor(mediaType: MediaType.tar, digest: layer.digest, size: layer.size)]
    ).encoded()
    _ = try layout.put(manifest)
    return (Descriptor(mediaType: MediaType.manifest, digest: manifest.digest, size: manifest.size), manifest)
}
