internal import Foundation
internal import KapsuleCore
internal import KapsuleCrypto
internal import Synchronization

extension TestRegistry.Shared {
    typealias Request = LoopbackServer.Request
    typealias Reply = LoopbackServer.Reply

    func restart() {
        state.withLock { $0.uploads = [:] }
        server.withLock { $0 }?.disconnect()
    }

    func answer(_ request: Request) -> Reply {
        let fault = nextFault(request)
        switch fault {
        case .status(let status):
            let headers = status == 429 || status == 503 ? ["Retry-After: 0"] : []
            return Reply(200).with {
                $0.receive = { _ in }
                $0.then = { _ in Self.error(status, "UNAVAILABLE", "injected", headers) }
            }
        case .expiry: state.withLock { state in for key in state.tokens.keys { state.tokens[key] = 0 } }
        case .forgottenUpload: state.withLock { $0.uploads = [:] }
        case .restart:
            restart()
            return Reply(200).with { ($0.isSilent, $0.ending) = (true, .cut) }
        default: break
        }
        if let refusal = authorization(request) { return refusal }
        return apply(fault, to: route(request, fault), request)
    }

    func nextFault(_ request: Request) -> TestRegistry.Fault? {
        state.withLock { state in
            guard
                let index = state.plans.firstIndex(where: {
                    $0.method == request.method && ($0.part.isEmpty || request.target.contains($0.part))
                })
            else { return nil }
            guard state.plans[index].skips == 0 else {
                state.plans[index].skips -= 1
                return nil
            }
            let fault = state.plans.remove(at: index).fault
            state.faultsDone.append(fault)
            return fault
        }
    }

    static func error(_ status: Int, _ code: String, _ message: String = "", _ headers: [String] = []) -> Reply {
        Reply(
            status, headers + ["Content-Type: application/json"],
            text: #"{"errors":[{"code":"\#(code)","message":"\#(message)","detail":null}]}"#)
    }

    /// The real reply, spoilt.
    func apply(_ fault: TestRegistry.Fault?, to reply: Reply, _ request: Request) -> Reply {
        guard let fault else { return reply }
        if reply.then != nil {
            switch fault {
            case .requestCut(let count):
                return reply.with { ($0.reads, $0.then, $0.isSilent, $0.ending) = (count, nil, true, .cut) }
            case .requestReset(let count):
                return reply.with { ($0.reads, $0.then, $0.isSilent, $0.ending) = (count, nil, true, .reset) }
            default:
                let then = reply.then
                return reply.with { $0.then = { Self.spoil(then?($0) ?? Reply(500), fault) } }
            }
        }
        switch fault {
        case .requestCut: return reply.with { ($0.isSilent, $0.ending) = (true, .cut) }
        case .requestReset: return reply.with { ($0.isSilent, $0.ending) = (true, .reset) }
        default: return Self.spoil(reply, fault)
        }
    }

    static func spoil(_ reply: Reply, _ fault: TestRegistry.Fault) -> Reply {
        reply.with { reply in
            switch fault {
            case .answerCut(let count): end(&reply, after: count, .cut)
            case .answerReset(let count): end(&reply, after: count, .reset)
            case .stall(let count): end(&reply, after: count, .stall)
            case .lostAnswer: (reply.isSilent, reply.ending) = (true, .cut)
            case .length(let error): reply.framing = .length(max(0, reply.body.count + error))
            case .corrupt(let place) where !reply.body.isEmpty: reply.body[place % reply.body.count] ^= 0x10
            case .otherDigest:
                reply.headers.removeAll { $0.hasPrefix("Docker-Content-Digest") }
                reply.headers.append("Docker-Content-Digest: sha256:\(String(repeating: "ab", count: 32))")
            case .drip(let bytes, let milliseconds): (reply.piece, reply.pauseMilliseconds) = (bytes, milliseconds)
            default: break
            }
        }
    }

    static func end(_ reply: inout Reply, after count: Int, _ ending: Reply.Ending) {
        if count < 0 { reply.headSends = -count } else { reply.sends = min(count, reply.body.count) }
        reply.ending = ending
    }

    // MARK: Who may

    func authorization(_ request: Request) -> Reply? {
        let sent = request["Authorization"]
        switch character.access {
        case .open: return nil
        case .basic(let user, let password):
            let wanted = "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
            guard sent != wanted else { return nil }
            return unauthorized(#"Basic realm="test""#)
        case .token:
            if request.path == "/token" { return nil }
            let isGood = state.withLock { state in
                guard let token = sent?.dropFirst("Bearer ".count), let left = state.tokens[String(token)], left > 0
                else { return false }
                state.tokens[String(token)] = left - 1
                return true
            }
            if isGood { return nil }
            let problem = sent == nil ? "" : #",error="invalid_token""#
            return unauthorized(
                #"Bearer realm="http://\#(request["Host"] ?? "")/token",service="test""# + problem)
        }
    }

    func unauthorized(_ challenge: String) -> Reply {
        Reply(200).with {
            $0.receive = { _ in }
            $0.then = { _ in Self.error(401, "UNAUTHORIZED", "", ["WWW-Authenticate: \(challenge)"]) }
        }
    }

    func token() -> Reply {
        guard case .token(let requests) = character.access else { return Reply(404) }
        let name = state.withLock { state in
            state.tokenCount += 1
            state.tokens["t\(state.tokenCount)"] = requests
            return "t\(state.tokenCount)"
        }
        return Reply(200, ["Content-Type: application/json"], text: #"{"token":"\#(name)","expires_in":300}"#)
    }

    // MARK: What for

    func route(_ request: Request, _ fault: TestRegistry.Fault?) -> Reply {
        if request.path == "/token" { return token() }
        guard request.path.hasPrefix("/v2/") else { return Reply(404, [], text: "404 page not found") }
        let rest = request.path.dropFirst("/v2/".count)
        if rest.isEmpty { return Reply(200, [], text: "{}") }
        if let parts = Self.split(rest, at: "/blobs/uploads/") { return upload(request, parts.name, parts.rest) }
        if let parts = Self.split(rest, at: "/blobs/") { return blob(request, parts.name, parts.rest, fault) }
        if let parts = Self.split(rest, at: "/manifests/") { return manifest(request, parts.name, parts.rest) }
        if let parts = Self.split(rest, at: "/referrers/") { return referrers(parts.name, parts.rest) }
        if rest.hasSuffix("/tags/list") { return tags(String(rest.dropLast("/tags/list".count))) }
        return Reply(404, [], text: "404 page not found")
    }

    static func split(_ path: Substring, at word: String) -> (name: String, rest: String)? {
        guard let range = path.range(of: word) else { return nil }
        return (String(path[..<range.lowerBound]), String(path[range.upperBound...]))
    }

    func tags(_ name: String) -> Reply {
        let tags = state.withLock { $0.tags.keys.filter { $0.hasPrefix("\(name):") } }
            .map { String($0.dropFirst(name.count + 1)) }.sorted()
        let list = tags.map { "\"\($0)\"" }.joined(separator: ",")
        return Reply(200, ["Content-Type: application/json"], text: #"{"name":"\#(name)","tags":[\#(list)]}"#)
    }

    // MARK: Blobs

    func blob(_ request: Request, _ name: String, _ digest: String, _ fault: TestRegistry.Fault?) -> Reply {
        let found = state.withLock { state in
            state.linked[name]?.contains(digest) == true ? state.blobs[digest] : nil
        }
        guard let bytes = found else { return Self.error(404, "BLOB_UNKNOWN") }
        let headers = ["Docker-Content-Digest: \(digest)", "Content-Type: application/octet-stream"]
        switch request.method {
        case "HEAD":
            return Reply(200, headers).with { $0.framing = character.lengths ? .length(bytes.count) : .chunked }
        case "GET": return part(bytes, request, headers, fault)
        case "DELETE":
            state.withLock { _ = $0.linked[name]?.remove(digest) }
            return Reply(202)
        default: return Self.error(405, "UNSUPPORTED")
        }
    }

    func part(
        _ bytes: [UInt8], _ request: Request, _ headers: [String], _ fault: TestRegistry.Fault?
    ) -> Reply {
        guard let text = request["Range"], character.ranges, fault != .wholeBlob else {
            count(sent: bytes.count)
            return Reply(200, headers, bytes)
        }
        guard var range = Self.range(text, of: bytes.count) else {
            return Reply(416, ["Content-Range: bytes */\(bytes.count)"])
        }
        var label = range
        switch fault {
        case .rangeLabel(let error): label = max(0, range.lowerBound + error)..<max(1, range.upperBound + error)
        case .otherRange(let error), .swappedRange(let error):
            let start = min(max(0, range.lowerBound + error), bytes.count - 1)
            range = start..<min(bytes.count, max(start + 1, start + range.count))
            if case .otherRange = fault { label = range }
        default: break
        }
        count(sent: range.count)
        return Reply(
            206, headers + ["Content-Range: bytes \(label.lowerBound)-\(label.upperBound - 1)/\(bytes.count)"],
            Array(bytes[range]))
    }

    func count(sent: Int) { state.withLock { $0.bytesSent += Int64(sent) } }

    /// `bytes=a-b`, `bytes=a-`, `bytes=-n`.
    static func range(_ text: String, of size: Int) -> Range<Int>? {
        guard text.hasPrefix("bytes="), !text.contains(",") else { return nil }
        let ends = text.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2 else { return nil }
        if ends[0].isEmpty { return Int(ends[1]).map { max(0, size - $0)..<size } }
        guard let first = Int(ends[0]), first < size else { return nil }
        let last = ends[1].isEmpty ? size - 1 : Int(ends[1]) ?? -1
        return last < first ? nil : first..<min(last, size - 1) + 1
    }

    static func digest(_ bytes: [UInt8]) -> String { Digest.of(bytes).description }

    // MARK: Manifests

    func manifest(_ request: Request, _ name: String, _ reference: String) -> Reply {
        if request.method == "PUT" {
            return Reply(200).with { $0.then = { [self] in store($0, name, reference) } }
        }
        let found = state.withLock { state -> (String, TestRegistry.Manifest)? in
            let digest = reference.contains(":") ? reference : state.tags["\(name):\(reference)"] ?? ""
            return state.manifests["\(name)@\(digest)"].map { (digest, $0) }
        }
        guard let (digest, manifest) = found else { return Self.error(404, "MANIFEST_UNKNOWN") }
        let headers = ["Docker-Content-Digest: \(digest)", "Content-Type: \(manifest.type)"]
        switch request.method {
        case "HEAD": return Reply(200, headers).with { $0.framing = .length(manifest.bytes.count) }
        case "GET":
            let accepts = request.headers.filter { $0.name.lowercased() == "accept" }.map(\.value).joined()
            guard accepts.contains(manifest.type) || accepts.contains("*/*") else {
                return Self.error(404, "MANIFEST_UNKNOWN")
            }
            return Reply(200, headers, manifest.bytes)
        case "DELETE":
            state.withLock { state in
                state.manifests["\(name)@\(digest)"] = nil
                state.tags = state.tags.filter { $0.value != digest || !$0.key.hasPrefix("\(name):") }
            }
            return Reply(202)
        default: return Self.error(405, "UNSUPPORTED")
        }
    }

    func store(_ request: Request, _ name: String, _ reference: String) -> Reply {
        let digest = Self.digest(request.body)
        if reference.contains(":"), reference != digest { return Self.error(400, "DIGEST_INVALID") }
        guard let object = try? JSONSerialization.jsonObject(with: Data(request.body)) as? [String: Any],
            let type = request["Content-Type"]
        else { return Self.error(400, "MANIFEST_INVALID") }
        let layers = (object["layers"] as? [[String: Any]] ?? []) + [object["config"] as? [String: Any] ?? [:]]
        let children = object["manifests"] as? [[String: Any]] ?? []
        return state.withLock { state in
            if let refusal = character.fixedTags, state.tags["\(name):\(reference)"] != nil {
                return Self.error(refusal.status, refusal.code, refusal.message)
            }
            for digest in layers.compactMap({ $0["digest"] as? String })
            where state.linked[name]?.contains(digest) != true {
                return Self.error(400, "MANIFEST_BLOB_UNKNOWN", digest)
            }
            for digest in children.compactMap({ $0["digest"] as? String })
            where state.manifests["\(name)@\(digest)"] == nil {
                return Self.error(400, "MANIFEST_BLOB_UNKNOWN", digest)
            }
            state.manifests["\(name)@\(digest)"] = TestRegistry.Manifest(type: type, bytes: request.body)
            if !reference.contains(":") { state.tags["\(name):\(reference)"] = digest }
            var headers = ["Location: /v2/\(name)/manifests/\(digest)", "Docker-Content-Digest: \(digest)"]
            if character.referrers, let subject = (object["subject"] as? [String: Any])?["digest"] as? String {
                headers.append("OCI-Subject: \(subject)")
            }
            return Reply(201, headers)
        }
    }

    func referrers(_ name: String, _ digest: String) -> Reply {
        guard character.referrers else { return Reply(404, [], text: "404 page not found") }
        let entries = state.withLock { state in
            state.manifests.filter { $0.key.hasPrefix("\(name)@") }.compactMap { key, manifest -> [String: Any]? in
                guard let object = try? JSONSerialization.jsonObject(with: Data(manifest.bytes)) as? [String: Any],
                    (object["subject"] as? [String: Any])?["digest"] as? String == digest
                else { return nil }
                var entry: [String: Any] = [
                    "mediaType": manifest.type, "size": manifest.bytes.count,
                    "digest": String(key.dropFirst(name.count + 1)),
                ]
                entry["artifactType"] =
                    object["artifactType"] ?? (object["config"] as? [String: Any])?["mediaType"]
                entry["annotations"] = object["annotations"]
                return entry
            }
        }
        let type = "application/vnd.oci.image.index.v1+json"
        let index: [String: Any] = ["schemaVersion": 2, "mediaType": type, "manifests": entries]
        let bytes = (try? JSONSerialization.data(withJSONObject: index)) ?? Data()
        return Reply(200, ["Content-Type: \(type)"], Array(bytes))
    }
}
