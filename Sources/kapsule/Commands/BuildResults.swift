internal import Builder
internal import KapsuleCore
internal import KapsuleIO

/// What a build made, for people and for scripts.
struct BuildResults {
    let report: Executor.Report
    /// Names of the outputs.
    let sessions: [String]
    let bundle: ModelBundle

    /// What stdout gets: one line an output.
    var references: [String] { receipts.map(\.receipt.reference) }

    var receipts: [(name: String, receipt: ExportReceipt)] {
        zip(sessions, report.outcomes).compactMap { name, outcome in
            guard case .made(let receipt) = outcome else { return nil }
            return (name, receipt)
        }
    }

    private var failures: [(name: String, error: KapsuleError)] {
        zip(sessions, report.outcomes).compactMap { name, outcome in
            guard case .failed(let error) = outcome else { return nil }
            return (name, error)
        }
    }

    /// - Throws: the error of the only output, or `.partial` that says which of several were written.
    func throwIfIncomplete() throws {
        guard let first = failures.first else { return }
        if receipts.isEmpty { throw first.error }
        throw KapsuleError(
            .partial, id: "build.partial",
            "\(receipts.count) of \(sessions.count) outputs were written (\(receipts.map(\.name).joined(separator: ", "))); "
                + failures.map { "\($0.name) failed: \($0.error.message)" }.joined(separator: "; "),
            remedy: first.error.remedy ?? "run the command again: what was written is not read again")
    }

    func write(digestFile: String?, metadataFile: String?, tags: [String]) throws {
        guard let first = receipts.first else { return }
        if let digestFile { try AtomicFile.write(Array(first.receipt.identity.description.utf8), to: digestFile) }
        if let metadataFile {
            try AtomicFile.write(Array((metadata(first.receipt, tags).pretty + "\n").utf8), to: metadataFile)
        }
    }

    /// Keys as buildx has them where it has them.
    private func metadata(_ first: ExportReceipt, _ tags: [String]) -> JSON {
        .members([
            "containerimage.digest": .string(first.identity.description),
            "image.name": tags.isEmpty ? nil : .string(tags.joined(separator: ",")),
            "kapsule.model": .members([
                "identity": .string(bundle.identity), "source": bundle.origin.url.map(JSON.string),
                "revision": bundle.origin.revision.map(JSON.string), "size": .int(bundle.size),
                "files": .array(bundle.files.indices.map(file)),
            ]),
            "kapsule.outputs": .array(receipts.map(output)),
        ])
    }

    private func file(_ index: Int) -> JSON {
        let file = bundle.files[index]
        return .members([
            "path": .string(file.path.text), "size": .int(file.source.size),
            "digest": report.files[index].map { .string($0.digest.description) },
        ])
    }

    private func output(_ name: String, _ receipt: ExportReceipt) -> JSON {
        .members([
            "name": .string(name), "reference": .string(receipt.reference),
            "digest": .string(receipt.identity.description),
            "layers": .array(
                receipt.outputs.map { part in
                    .members([
                        "name": .string(part.name), "digest": .string(part.artifact.digest.description),
                        "size": .int(part.artifact.size),
                    ])
                }),
        ])
    }
}
