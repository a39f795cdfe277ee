import KapsuleCore
import KapsuleCrypto
import TestSupport
import Testing

@Suite struct SectorCipherTests {
    static let key = (0..<64).map { UInt8($0) }

    private func encrypt(_ plain: [UInt8], at first: Int64) throws -> [UInt8] {
        var output = [UInt8](repeating: 0, count: plain.count)
        var span = output.mutableSpan
        try SectorCipher(key: Self.key.span).encrypt(plain.span, into: &span, at: first)
        return output
    }

    // Six sectors filled A0, A1, A2, A3, A4, A0: a vector made with dm-crypt itself.
    @Test func sectorsEqualDMCrypts() throws {
        let plain = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA0].flatMap { [UInt8](repeating: $0, count: 4096) }
        let encrypted = try encrypt(plain, at: 0)
        #expect(Hex.encode(Array(encrypted.prefix(16))) == "5b3d461cf538936077ede17190ab8fa1")
        #expect(Hex.encode(Array(encrypted[5 * 4096..<5 * 4096 + 16])) == "baf705903a99293020a1a0ed1d07fc67")
        #expect(Digest.of(encrypted).hex == "0749db294b5218015a1453879b24188c1dfdee7061ef2f07307da88bc2366733")
    }

    @Test func sectorsAreIndependentAndComeBack() throws {
        var random = SeededGenerator(seed: 2)
        let plain = random.bytes(7 * 4096)
        let whole = try encrypt(plain, at: 100)
        for sector in 0..<7 {
            let part = Array(plain[sector * 4096..<(sector + 1) * 4096])
            #expect(try encrypt(part, at: 100 + Int64(sector)) == Array(whole[sector * 4096..<(sector + 1) * 4096]))
        }
        var back = [UInt8](repeating: 0, count: plain.count)
        var span = back.mutableSpan
        try SectorCipher(key: Self.key.span).decrypt(whole.span, into: &span, at: 100)
        #expect(back == plain)
    }

    @Test func keysOfAnotherLengthOrWithEqualHalvesAreRefused() {
        for key in [[], Array(Self.key.dropLast()), [UInt8](repeating: 5, count: 64)] {
            #expect(throws: KapsuleError.self) { try SectorCipher(key: key.span) }
        }
    }

    // Source: RFC 5869, appendix A, cases 1 and 3.
    @Test func derivedKeysEqualTheStandard() {
        let key = [UInt8](repeating: 0x0B, count: 22)
        let one = HKDF.derive(
            key: key, salt: (0...12).map { UInt8($0) }, info: (0xF0...0xF9).map { UInt8($0) }, count: 42)
        #expect(
            Hex.encode(one)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        let three = HKDF.derive(key: key, salt: [], info: [], count: 42)
        #expect(
            Hex.encode(three)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    }

    // Source: RFC 9562's algorithm; the name is one of the format's vectors.
    @Test func namedUUIDsEqualTheStandard() throws {
        let name = "example-org/example-model@0123456789abcdef0123456789abcdef01234567-inner"
        #expect(UUIDBytes(name: name).description == "7a135dc1-bce4-5be4-a8d5-f1b5e7945bbf")
        let text = "00112233-4455-6677-8899-aabbccddeeff"
        #expect(UUIDBytes(parsing: text.uppercased())?.description == text)
        for wrong in ["", "0011", text + "0", text.replacing("-", with: "_"), text.replacing("f", with: "g")] {
            #expect(UUIDBytes(parsing: wrong) == nil)
        }
    }
}
