internal import ArgumentParser
internal import Encryption
internal import KapsuleCore
internal import KapsuleCrypto

struct Keygen: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Make keys: a pair to encrypt images with, or the master key of encrypted disks.",
        discussion: """
            Private keys are for their owner alone (mode 0600). No file is ever overwritten.

              kapsule keygen                        # kapsule.pem and kapsule.pub.pem, RSA-4096
              kapsule keygen --type ec -o keys/alice
              kapsule keygen --type emwp -o master
            """)

    @Option(help: ArgumentHelp("rsa, ec or emwp.", valueName: "type"))
    var type = KeyType.rsa

    @Option(help: ArgumentHelp("Of an RSA key: 2048, 3072 or 4096.", valueName: "n"))
    var bits = 4096

    @Option(help: ArgumentHelp("Of an EC key: P-256, P-384 or P-521.", valueName: "name"))
    var curve = "P-384"

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("What the files are called: NAME.pem and NAME.pub.pem, or NAME.key.", valueName: "name"))
    var name = "kapsule"

    @Option(
        name: .customLong("passphrase-file"),
        help: ArgumentHelp("Protect the private key with what this file holds.", valueName: "path"))
    var passphraseFile: String?

    @OptionGroup(title: "Output") var output: OutputOptions

    enum KeyType: String, ExpressibleByArgument, CaseIterable { case rsa, ec, emwp }

    func validate() throws {
        guard [2048, 3072, 4096].contains(bits) else { throw ValidationError("--bits is 2048, 3072 or 4096.") }
        guard KeyKind.Curve(rawValue: curve) != nil else { throw ValidationError("--curve is P-256, P-384 or P-521.") }
        guard type != .emwp || passphraseFile == nil else {
            throw ValidationError("A master key is read as it is: leave out --passphrase-file.")
        }
    }

    func run(in toolbox: Toolbox) async throws {
        switch type {
        case .emwp:
            try MasterKeyFile.write(to: "\(name).key")
            try toolbox.print("\(name).key")
        case .rsa: try write(.rsa(bits: bits), toolbox)
        case .ec: try write(.ec(KeyKind.Curve(rawValue: curve) ?? .p384), toolbox)
        }
    }

    private func write(_ kind: KeyKind, _ toolbox: Toolbox) throws {
        let (secret, open) = ("\(name).pem", "\(name).pub.pem")
        try KeyPair(kind).write(privateKey: secret, publicKey: open, passphraseFile: passphraseFile)
        try toolbox.print(secret)
        try toolbox.print(open)
    }
}
