internal import KapsuleCrypto

/// A key in JSON.
///
/// Source: RFC 7517; RFC 7518, section 6.
struct JSONWebKey {
    /// What its owner says it is to be used with.
    let algorithm: String?
    let keyID: String?
    let content: Content

    enum Content {
        case publicKey(PublicKey)
        case privateKey(PrivateKey)
    }

    /// Nil when it is no key of a kind that is used here.
    init?(_ json: LooseJSON) {
        algorithm = json["alg"]?.text
        keyID = json["kid"]?.text
        let content: Content?
        switch json["kty"]?.text {
        case "RSA": content = Self.rsa(json)
        case "EC": content = Self.ec(json)
        default: content = nil
        }
        guard let content else { return nil }
        self.content = content
    }

    private static func number(_ json: LooseJSON, _ name: String) -> [UInt8]? {
        json[name]?.text.flatMap { Base64.decode($0, .url) }
    }

    private static func rsa(_ json: LooseJSON) -> Content? {
        guard let n = number(json, "n"), let e = number(json, "e") else { return nil }
        guard json["d"] != nil else { return RSAKey.publicKey(modulus: n, exponent: e).map(Content.publicKey) }
        // RFC 7518, 6.3.2: a private key without its primes is allowed there, and nobody writes one.
        let names = ["d", "p", "q", "dp", "dq", "qi"]
        let numbers = names.compactMap { number(json, $0) }
        guard numbers.count == names.count else { return nil }
        // RFC 8017, A.1.2, RSAPrivateKey.
        var der = DER.element(
            DER.sequence, [DER.integer(0), DER.integer(n), DER.integer(e)].flatMap(\.self), numbers.flatMap(DER.integer)
        )
        return PrivateKey(der: SecretBytes(taking: &der)).map(Content.privateKey)
    }

    private static func ec(_ json: LooseJSON) -> Content? {
        guard let curve = json["crv"]?.text.flatMap(KeyKind.Curve.init), let x = number(json, "x"),
            let y = number(json, "y"), x.count == curve.fieldSize, y.count == curve.fieldSize
        else { return nil }
        guard json["d"] != nil else {
            return ECKey.publicKey(curve, x: x, y: y).map(Content.publicKey)
        }
        guard let d = number(json, "d"), d.count == curve.fieldSize else { return nil }
        // RFC 5915, 3, ECPrivateKey.
        var der = DER.sequence(
            DER.integer(1), DER.element(DER.octetString, d), DER.element(0xA0, DER.objectIdentifier(ECKey.arcs(curve))),
            DER.element(0xA1, DER.bitString([4] + x + y)))
        return PrivateKey(der: SecretBytes(taking: &der)).map(Content.privateKey)
    }
}

enum RSAKey {
    /// Source: RFC 8017, A.1.1; RFC 3279, 2.3.1.
    static func publicKey(modulus: [UInt8], exponent: [UInt8]) -> PublicKey? {
        publicKey(pkcs1: DER.sequence(DER.integer(modulus), DER.integer(exponent)))
    }

    static func publicKey(pkcs1 der: [UInt8]) -> PublicKey? {
        let algorithm = DER.sequence(DER.objectIdentifier([1, 2, 840, 113549, 1, 1, 1]), DER.element(0x05))
        return PublicKey(subjectPublicKeyInfo: DER.sequence(algorithm, DER.bitString(der)))
    }
}

enum ECKey {
    /// Source: RFC 5480, 2.1.1.1.
    static func arcs(_ curve: KeyKind.Curve) -> [UInt32] {
        switch curve {
        case .p256: [1, 2, 840, 10045, 3, 1, 7]
        case .p384: [1, 3, 132, 0, 34]
        case .p521: [1, 3, 132, 0, 35]
        }
    }

    /// Nil for a point that is not on the curve.
    ///
    /// Source: RFC 5480, 2; SEC1, 2.3.3, uncompressed points.
    static func publicKey(_ curve: KeyKind.Curve, x: [UInt8], y: [UInt8]) -> PublicKey? {
        let algorithm = DER.sequence(
            DER.objectIdentifier([1, 2, 840, 10045, 2, 1]), DER.objectIdentifier(arcs(curve)))
        return PublicKey(subjectPublicKeyInfo: DER.sequence(algorithm, DER.bitString([4] + x + y)))
    }
}
