internal import Foundation
internal import Synchronization

extension TestRegistry.Shared {
    func upload(_ request: Request, _ name: String, _ rest: String) -> Reply {
        if rest.isEmpty {
            return request.method == "POST" ? begin(request, name) : Self.error(405, "UNSUPPORTED")
        }
        guard let upload = state.withLock({ $0.uploads[rest] }), upload.repository == name, !upload.isBroken else {
            return drained(Self.error(404, "BLOB_UPLOAD_UNKNOWN"))
        }
        switch request.method {
        case "GET": return Reply(204, session(rest, name))
        case "DELETE":
            state.withLock { $0.uploads[rest] = nil }
            return Reply(204)
        case "PATCH":
            guard character.patches else { return drained(Self.error(405, "UNSUPPORTED")) }
            return patch(request, name, rest, upload)
        case "PUT": return put(request, name, rest)
        default: return Self.error(405, "UNSUPPORTED")
        }
    }

    /// As a load balancer does: reads the body, then refuses.
    func drained(_ reply: Reply) -> Reply {
        Reply(200).with {
            $0.receive = { _ in }
            $0.then = { _ in reply }
        }
    }

    func begin(_ request: Request, _ name: String) -> Reply {
        if let digest = Self.parameter("mount", request), let other = Self.parameter("from", request) {
            let isMounted = state.withLock { state in
                guard state.linked[other]?.contains(digest) == true else { return false }
                state.linked[name, default: []].insert(digest)
                return true
            }
            if isMounted { return Reply(201, ["Location: /v2/\(name)/blobs/\(digest)"]) }
        }
        let id = state.withLock { state in
            state.uploadCount += 1
            state.uploads["u\(state.uploadCount)"] = TestRegistry.Upload(repository: name)
            return "u\(state.uploadCount)"
        }
        return Reply(202, session(id, name))
    }

    func session(_ id: String, _ name: String) -> [String] {
        let count = state.withLock { $0.uploads[id]?.bytes.count ?? 0 }
        let shortest = character.shortestChunk.map { ["OCI-Chunk-Min-Length: \($0)"] } ?? []
        return [
            "Location: /v2/\(name)/blobs/uploads/\(id)?_state=\(count)", "Range: 0-\(max(0, count - 1))",
            "Docker-Upload-UUID: \(id)",
        ] + shortest
    }

    static func parameter(_ name: String, _ request: Request) -> String? {
        URLComponents(string: request.target)?.queryItems?.first { $0.name == name }?.value
    }

    func patch(_ request: Request, _ name: String, _ id: String, _ upload: TestRegistry.Upload) -> Reply {
        let length = request["Content-Length"].flatMap { Int($0) }
        if let length, length > character.longestBody { return drained(Self.error(413, "SIZE_INVALID")) }
        if let text = request["Content-Range"] {
            let ends = text.split(separator: "-").compactMap { Int($0) }
            guard ends.count == 2, ends[0] == upload.bytes.count, ends[1] + 1 - ends[0] == length else {
                return drained(Reply(416, session(id, name)))
            }
        }
        return receiving(id) { [self] _ in Reply(202, session(id, name)) }
    }

    /// The body goes to the session as it comes.
    func receiving(_ id: String, _ then: @escaping @Sendable (Request) -> Reply) -> Reply {
        // Counts as broken until it has ended well.
        if case .breaks = character.interruption { state.withLock { $0.uploads[id]?.isBroken = true } }
        return Reply(200).with {
            $0.receive = { [self] bytes in
                state.withLock { state in
                    state.uploads[id]?.bytes += bytes
                    state.bytesReceived += Int64(bytes.count)
                }
            }
            $0.then = { [self] request in
                state.withLock { $0.uploads[id]?.isBroken = false }
                return then(request)
            }
        }
    }

    func put(_ request: Request, _ name: String, _ id: String) -> Reply {
        if let length = request["Content-Length"].flatMap({ Int($0) }), length > character.longestBody {
            return drained(Self.error(413, "SIZE_INVALID"))
        }
        return receiving(id) { [self] request in
            guard let digest = Self.parameter("digest", request) else { return Self.error(400, "DIGEST_INVALID") }
            return state.withLock { state in
                guard let upload = state.uploads.removeValue(forKey: id) else {
                    return Self.error(404, "BLOB_UPLOAD_UNKNOWN")
                }
                guard Self.digest(upload.bytes) == digest else { return Self.error(400, "DIGEST_INVALID") }
                state.blobs[digest] = upload.bytes
                state.linked[name, default: []].insert(digest)
                return Reply(
                    201, ["Location: /v2/\(name)/blobs/\(digest)", "Docker-Content-Digest: \(digest)"])
            }
        }
    }
}
