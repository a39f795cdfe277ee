internal import KapsuleCore
internal import KapsuleCrypto
internal import KapsuleIO

/// Reads every file of a directory, and checks that it is what was written there.
struct DirectoryCheck {
    let concurrency: Int
    let progress: any ProgressReporter

    /// - Throws: `.unverified` for the first file that is not.
    func check(_ files: [(name: String, artifact: Artifact)], in directory: String) async throws {
        let progress = progress
        try await forEach(files, limit: concurrency) { file in
            let path = "\(directory)/\(file.name)"
            try progress.during("verify \(file.name)", total: file.artifact.size) { activity in
                let source = try FileSource(path: path)
                var sink = VerifyingSink(ProgressSink(activity: activity), expecting: file.artifact, what: path)
                try source.read(0..<source.size, into: &sink)
                try sink.finish()
            }
        }
    }
}
