public import KapsuleCore

/// What a layer says that holds a part of a file.
public struct LayerPart: Sendable, Hashable {
    /// Keys of layer annotations.
    public enum Annotation {
        /// Path of the layer's only file, which is the part.
        static let path = "io.kapsule.file.path"
        /// Size of that file, in bytes.
        static let partSize = "io.kapsule.file.size"
        /// Path of the file that it is a part of.
        public static let whole = "io.kapsule.part.of"
        /// Which part it is, and of how many: `2/3`.
        public static let number = "io.kapsule.part"
        /// SHA-256 of the whole file.
        public static let sha256 = "io.kapsule.part.sha256"
        /// Size of the whole file, in bytes.
        public static let size = "io.kapsule.part.size"
    }

    /// Most parts that a file is put together from.
    private static let mostParts = 10_000

    /// Of the whole file.
    public let path: BundlePath
    public let whole: Artifact
    /// From 1.
    public let number: Int
    public let count: Int
    /// Where the part is in the image.
    public let file: BundlePath
    /// Of the part, in bytes.
    public let size: Int64

    /// Nil for a layer that holds no part.
    ///
    /// - Throws: `.unverified` for annotations that make no sense.
    public init?(_ layer: Descriptor, what: String) throws {
        let annotations = layer.annotations
        guard let path = annotations[Annotation.whole] else { return nil }
        let numbers = (annotations[Annotation.number] ?? "").split(separator: "/").compactMap { Int($0) }
        guard numbers.count == 2, (1...Self.mostParts).contains(numbers[1]), (1...numbers[1]).contains(numbers[0]),
            let path = try? BundlePath(validating: path),
            let file = annotations[Annotation.path].flatMap({ try? BundlePath(validating: $0) }),
            let digest = annotations[Annotation.sha256].flatMap({ Digest(hex: $0) }),
            let size = annotations[Annotation.size].flatMap({ Int64($0) }), size >= 0,
            let partSize = annotations[Annotation.partSize].flatMap({ Int64($0) }), (0...size).contains(partSize)
        else {
            throw KapsuleError(
                .unverified, id: "part.annotations", "\(what) is said to be a part of a file, and not which",
                remedy: "build the image again")
        }
        self.path = path
        self.file = file
        self.size = partSize
        whole = Artifact(digest: digest, size: size)
        (number, count) = (numbers[0], numbers[1])
    }
}

/// The parts of one file, in order.
public struct PartedFile: Sendable {
    public let path: BundlePath
    public let whole: Artifact
    /// Where each part is in the image, and its length in bytes.
    public let parts: [(path: BundlePath, size: Int64)]
    public let layers: [Descriptor]

    /// All files of an image that are there in parts.
    ///
    /// - Throws: `.unverified` where parts are missing or contradict one another.
    public static func all(in image: Image) throws -> [PartedFile] {
        var order: [BundlePath] = []
        var found: [BundlePath: [(part: LayerPart, layer: Descriptor)]] = [:]
        for layer in image.manifest.content.layers {
            guard let part = try LayerPart(layer, what: "layer \(layer.digest) of \(image.origin.name)") else {
                continue
            }
            if found[part.path] == nil { order.append(part.path) }
            found[part.path, default: []].append((part, layer))
        }
        return try order.map { path in
            let parts = (found[path] ?? []).sorted { $0.part.number < $1.part.number }
            guard let first = parts.first?.part, parts.map(\.part.number) == Array(1...first.count),
                parts.allSatisfy({ $0.part.whole == first.whole && $0.part.count == first.count })
            else {
                throw KapsuleError(
                    .unverified, id: "part.missing", "\(image.origin.name) does not hold all parts of '\(path)'",
                    remedy: "build the image again")
            }
            return PartedFile(
                path: path, whole: first.whole, parts: parts.map { ($0.part.file, $0.part.size) },
                layers: parts.map(\.layer))
        }
    }
}
