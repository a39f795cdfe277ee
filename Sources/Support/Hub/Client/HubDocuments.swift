internal import FoundationEssentials
internal import KapsuleCore

/// The answers of the hub's API, as far as they are looked at. Everything may be missing.
///
/// Source: huggingface.co/docs/hub/api, and answers as seen.
enum HubDocument {
    struct Info: Decodable {
        let sha: String?
        let gated: Gate?
        let disabled: Bool?
        let cardData: Card?

        /// `false`, `"auto"` or `"manual"`.
        struct Gate: Decodable {
            let isClosed: Bool
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                isClosed = (try? container.decode(Bool.self)) ?? ((try? container.decode(String.self)) != nil)
            }
        }
    }

    struct Card: Decodable {
        let license: License?
        let licenseName: String?

        enum CodingKeys: String, CodingKey {
            case license
            case licenseName = "license_name"
        }

        /// Cards are written by people: anything may stand anywhere.
        init(from decoder: any Decoder) throws {
            let container = try? decoder.container(keyedBy: CodingKeys.self)
            license = try? container?.decode(License.self, forKey: .license)
            licenseName = try? container?.decode(String.self, forKey: .licenseName)
        }

        /// One word, or a list of them.
        struct License: Decodable {
            let names: [String]
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                names = try (try? [container.decode(String.self)]) ?? container.decode([String].self)
            }
        }
    }

    struct Row: Decodable {
        let type: String
        let path: String
        let size: Int64?
        let oid: String?
        let lfs: LFS?

        struct LFS: Decodable {
            let oid: String
            let size: Int64
        }
    }

    struct Refs: Decodable {
        struct Ref: Decodable { let name: String }
        let branches: [Ref]?
        let tags: [Ref]?
    }

    struct Failure: Decodable { let error: String? }

    /// - Throws: `.unverified`, with what is wrong where.
    static func decode<Wire: Decodable>(_ type: Wire.Type, _ bytes: [UInt8], what: String) throws -> Wire {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw KapsuleError(
                .unverified, id: "hub.document", "\(what) is not what the hub's API answers with",
                remedy: "check HF_ENDPOINT: it has to name a hub, not one of its pages; --debug shows the requests",
                cause: error)
        }
    }
}
