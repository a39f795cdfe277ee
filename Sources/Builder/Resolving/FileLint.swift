internal import Formats
internal import KapsuleCore
internal import KapsuleIO
public import ModelfileParser

/// Warnings about the files that a Modelfile names by path: pickles, and weights that are damaged.
public enum FileLint {
    /// - Parameter context: the directory that relative paths start at.
    public static func check(_ modelfile: Modelfile, context: String) -> [Diagnostic] {
        guard let context = Directories.realPath(context) else { return [] }
        let local = LocalSource(
            context: context, rules: ContextRules().adding(modelfile.excludePatterns), cache: nil, keepsModes: false)
        return modelfile.instructions.filter { [.from, .adapter, .draft].contains($0.word) }.flatMap { instruction in
            files(of: instruction, local).map { file in
                Diagnostic.warning(file.id, file.message, help: file.help, at: instruction.valueSpan)
            }
        }
    }

    private struct Warning {
        let id: String
        let message: String
        let help: String?
    }

    private static func files(of instruction: Instruction, _ local: LocalSource) -> [Warning] {
        // What cannot be found or read is the business of other warnings, and of the build.
        guard let path = (try? SourceReference(parsing: instruction.value))?.localPath,
            let found = try? local.find(path)
        else { return [] }
        switch found {
        case .file(let candidate): return warnings([candidate.file])
        case .directory(_, let found):
            return warnings(
                found.entries.compactMap { try? local.candidate($0.realPath, $0.status, at: $0.path).file })
        }
    }

    private static func warnings(_ files: [ModelBundle.File]) -> [Warning] {
        var damaged: [Warning] = []
        var checkpoints: [(path: BundlePath, checkpoint: Checkpoint)] = []
        for file in files where [.weights, .adapter, .projector].contains(file.role) {
            do {
                let read = try ModelFile.read(file.source, name: file.path.name, what: file.path.text)
                if case .checkpoint(let checkpoint) = read { checkpoints.append((file.path, checkpoint)) }
            } catch let error as KapsuleError where error.code == .unverified {
                damaged.append(Warning(id: "damaged-weights", message: error.message, help: error.remedy))
            } catch {
                continue
            }
        }
        return damaged
            + Checkpoint.grouped(checkpoints).map { Warning(id: "pickle", message: $0.subject, help: $0.advice) }
    }
}

extension Checkpoint {
    /// One sentence for all files of one risk, in the order of the files.
    static func grouped(
        _ checkpoints: [(path: BundlePath, checkpoint: Checkpoint)]
    ) -> [(subject: String, advice: String)] {
        var order: [Checkpoint] = []
        var paths: [String: [String]] = [:]
        for (path, checkpoint) in checkpoints {
            if paths[checkpoint.risk] == nil { order.append(checkpoint) }
            paths[checkpoint.risk, default: []].append(path.text)
        }
        return order.map { checkpoint in
            let paths = paths[checkpoint.risk] ?? []
            let subject =
                paths.count == 1 ? "\(paths[0]) is a pickle" : "\(paths[0]) and \(paths.count - 1) more are pickles"
            return ("\(subject): \(checkpoint.risk)", checkpoint.advice)
        }
    }
}
