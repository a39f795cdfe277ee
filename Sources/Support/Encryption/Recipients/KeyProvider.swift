internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// A program or a service that wraps and unwraps layer keys with keys that we never see. It is trusted completely.
///
/// Source: ocicrypt, `docs/keyprovider.md`.
public struct KeyProvider: Sendable {
    private enum Contact {
        case program(String, arguments: [String], environment: [String: String])
        case service(KeyProviderService)
    }

    let name: String
    private let contact: Contact

    /// How long a program may take: somebody may have to touch a token.
    private static let timeout = Duration.seconds(120)

    /// Finds the provider in the file that `OCICRYPT_KEYPROVIDER_CONFIG` names.
    ///
    /// - Throws: `.usage` when there is none of that name, or it cannot be used.
    public init(named name: String, environment: [String: String]) throws {
        let settings = try Self.configuration(environment)
        guard let provider = settings[name] else {
            let known = settings.keys.sorted().joined(separator: ", ")
            throw Self.failure(
                "there is no key provider '\(name)'",
                remedy: known.isEmpty
                    ? "set OCICRYPT_KEYPROVIDER_CONFIG to a file that names it"
                    : "OCICRYPT_KEYPROVIDER_CONFIG has: \(known)")
        }
        self.name = name
        if let target = provider["grpc"]?.text, !target.isEmpty {
            contact = .service(try KeyProviderService(target, tls: provider["grpc-tls"]))
        } else {
            contact = try Self.program(provider["cmd"], name, environment)
        }
    }

    private static func program(
        _ command: LooseJSON?, _ name: String, _ environment: [String: String]
    ) throws -> Contact {
        guard let command, let path = command["path"]?.text else {
            throw failure(
                "the key provider '\(name)' is neither a program nor a service",
                remedy: "configure {\"cmd\":{\"path\":…,\"args\":[…]}} or {\"grpc\":\"HOST:PORT\"}")
        }
        guard
            let program = path.hasPrefix("/") ? path : ChildProcess.find(path, searchPath: environment["PATH"])
        else { throw failure("the key provider's program '\(path)' is not found", remedy: "give its whole path") }
        return .program(
            program, arguments: (command["args"]?.items ?? []).compactMap(\.text), environment: environment)
    }

    /// Providers by name; none where no file is named, or where it is not there.
    private static func configuration(_ environment: [String: String]) throws -> [String: LooseJSON] {
        guard let path = environment["OCICRYPT_KEYPROVIDER_CONFIG"], !path.isEmpty,
            try FileStatus.of(path, followsLinks: true) != nil
        else { return [:] }
        let bytes = try FileSource(path: path).readAll(limit: 1 << 20, what: path)
        guard let document = LooseJSON(bytes) else {
            throw failure("\(path) is no JSON", remedy: "mend it, or unset OCICRYPT_KEYPROVIDER_CONFIG")
        }
        return document["key-providers"]?.members ?? [:]
    }

    private static func failure(_ message: String, remedy: String) -> KapsuleError {
        KapsuleError(.usage, id: "key.provider", message, remedy: remedy)
    }

    // MARK: Wrapping and unwrapping

    /// - Parameter parameter: what was written behind the provider's name; `Enabled` where nothing was.
    func wrap(_ options: SecretBytes, parameter: String) throws -> [UInt8] {
        let own = JSON.members([
            "Parameters": parameters(parameter), "DecryptConfig": .members(["Parameters": .object([])]),
        ])
        let request = JSON.members([
            "op": "keywrap",
            "keywrapparams": .members(["ec": own, "optsdata": .string(Base64.encode(options.bytes))]),
            "keyunwrapparams": .members(["dc": .null, "annotation": .null]),
        ])
        let answer = try ask(.wrap, request)
        guard let annotation = answer["keywrapresults"]?["annotation"]?.text.flatMap({ Base64.decode($0) }),
            !annotation.isEmpty
        else { throw unusable("answers without what it wrapped") }
        return annotation
    }

    func unwrap(_ annotation: [UInt8], parameter: String) throws -> SecretBytes {
        // Only what is the provider's own: others send it the user's private keys as well.
        let request = JSON.members([
            "op": "keyunwrap", "keywrapparams": .members(["ec": .null, "optsdata": .null]),
            "keyunwrapparams": .members([
                "dc": .members(["Parameters": parameters(parameter)]),
                "annotation": .string(Base64.encode(annotation)),
            ]),
        ])
        let answer = try ask(.unwrap, request)
        guard var options = answer["keyunwrapresults"]?["optsdata"]?.text.flatMap({ Base64.decode($0) }) else {
            throw unusable("answers without what it unwrapped")
        }
        return SecretBytes(taking: &options)
    }

    private func parameters(_ parameter: String) -> JSON {
        .object([JSON.Member(name, .array([.string(Base64.encode(Array(parameter.utf8)))]))])
    }

    private func ask(_ call: KeyProviderService.Call, _ request: JSON) throws -> LooseJSON {
        let document = Array(request.compact.utf8)
        let output: [UInt8]
        switch contact {
        case .program(let program, let arguments, let environment):
            output = try run(program, arguments, environment, document)
        case .service(let service):
            do {
                output = try service.call(call, document)
            } catch let failure as KeyProviderService.ServiceFailure {
                throw unusable(failure.reason)
            }
        }
        guard let answer = LooseJSON(output) else { throw unusable("does not answer in JSON") }
        return answer
    }

    private func run(
        _ program: String, _ arguments: [String], _ environment: [String: String], _ document: [UInt8]
    ) throws -> [UInt8] {
        let result = try ChildProcess.run(
            program, arguments, environment: environment, input: document, timeout: Self.timeout)
        switch result.end {
        case .exited(0): return result.output
        case .exited(let status): throw unusable("ended with status \(status)")
        case .killed(let signal): throw unusable("was ended by signal \(signal)")
        }
    }

    private func unusable(_ why: String) -> KapsuleError {
        let (place, remedy) =
            switch contact {
            case .program(let program, _, _): (program, "run it by hand to see what it says")
            case .service(let service): (service.target, "look into its log")
            }
        return KapsuleError(
            .undecryptable, id: "key.provider-failed", "the key provider '\(name)' (\(place)) \(why)", remedy: remedy)
    }
}
