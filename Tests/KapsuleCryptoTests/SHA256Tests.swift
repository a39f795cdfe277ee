import KapsuleCore
import KapsuleCrypto
import Testing

@Suite struct SHA256Tests {
    // Source: FIPS 180-4 examples.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ])
    func equalsTheStandard(_ text: String, _ hex: String) { #expect(Digest.of(text).hex == hex) }

    @Test func verifyingSinkRefusesOtherBytes() throws {
        let promised = Artifact(digest: .of("abc"), size: 3)
        var right = VerifyingSink(MemorySink(), expecting: promised, what: "x")
        try right.write(Array("abc".utf8).span)
        try right.finish()
        for wrong in ["abd", "ab", ""] {
            #expect(throws: KapsuleError.self) {
                var sink = VerifyingSink(MemorySink(), expecting: promised, what: "x")
                try sink.write(Array(wrong.utf8).span)
                try sink.finish()
            }
        }
        #expect(throws: KapsuleError.self) {
            var sink = VerifyingSink(MemorySink(), expecting: promised, what: "x")
            try sink.write(Array("abcd".utf8).span)
        }
    }
}
