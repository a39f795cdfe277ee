// swift-tools-version: 6.2
import PackageDescription

/// The settings of every Swift target of ours. Dependencies keep their own.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A library target under `Sources/Support`.
func support(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/Support/\(name)", exclude: ["README.md"],
        swiftSettings: house)
}

/// One of the four rooms at the front of the house.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, exclude: ["README.md"], swiftSettings: house)
}

/// What `--debug` prints goes through this.
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

/// The tests of `target`, which may also use what the target itself is built on.
func tests(of target: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(target)Tests", dependencies: [.byName(name: target), "TestSupport"] + dependencies,
        path: "Tests/\(target)Tests", swiftSettings: house)
}

let package = Package(
    name: "kapsule",
    dependencies: [
        // The command line: parsing, help and completion scripts, as Swift's own tools have them.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // What `--debug` prints. The API that every Swift library logs through.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "kapsule",
            dependencies: [
                "Builder", "Exporters", "Formats", "ModelfileParser", "Store", "Ollama", "OCI", "Hub", "Git",
                "Encryption", "HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["README.md"], swiftSettings: house),
        room("ModelfileParser", ["KapsuleCore"]),
        room(
            "Builder",
            [
                "ModelfileParser", "Store", "Ollama", "OCI", "Encryption", "Formats", "KapsuleIO", "KapsuleCrypto",
                "KapsuleCore",
            ]),
        room("Exporters", ["Formats", "Ollama", "OCI", "Encryption", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        support("Store", ["OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        support("Ollama", ["ModelfileParser", "Formats", "OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        support("Git", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        support("Formats", ["KapsuleCrypto", "KapsuleCore", "CZlib"]),
        support("OCI", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging]),
        support("Hub", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging]),
        support("Encryption", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging]),
        support("HTTP", ["KapsuleCore", "CCurl", logging]),
        support("KapsuleIO", ["KapsuleCore", "CLinux"]),
        support("KapsuleCrypto", ["KapsuleCore", "COpenSSL", "CSHA256"]),
        support("KapsuleCore"),

        .systemLibrary(
            name: "COpenSSL", path: "Sources/C/COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CCurl", path: "Sources/C/CCurl", pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        .target(name: "CSHA256", path: "Sources/C/CSHA256", exclude: ["README.md"]),

        // Tools of the tests: temporary directories, child processes, seeded randomness, throw-away registries.
        .target(
            name: "TestSupport", dependencies: ["KapsuleCrypto", "KapsuleCore"], path: "Tests/TestSupport",
            swiftSettings: house),
        // For the benchmark: a hash tree alone, beside veritysetup.
        .executableTarget(
            name: "verity-tree", dependencies: ["Formats", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"],
            path: "Tests/Tools/verity-tree", swiftSettings: house),
        .testTarget(
            name: "KapsuleTests",
            dependencies: [
                "kapsule", "OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", "TestSupport", logging,
            ], path: "Tests/KapsuleTests", swiftSettings: house),
        tests(of: "KapsuleCore"),
        tests(of: "Builder", ["KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        tests(of: "Exporters", ["Builder", "Formats", "OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        tests(of: "Store", ["OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        tests(of: "Ollama", ["ModelfileParser", "Formats", "OCI", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        tests(of: "Formats", ["KapsuleCrypto", "KapsuleCore"]),
        tests(of: "Encryption", ["Exporters", "OCI", "HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore"]),
        tests(of: "HTTP", ["KapsuleIO", "KapsuleCore", logging]),
        tests(of: "Hub", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging]),
        tests(of: "OCI", ["HTTP", "KapsuleIO", "KapsuleCrypto", "KapsuleCore", logging]),
        tests(of: "KapsuleIO", ["KapsuleCore"]),
        tests(of: "KapsuleCrypto", ["KapsuleCore"]),
        tests(of: "ModelfileParser", ["KapsuleCore"]),
    ]
)
