internal import Exporters
internal import FoundationEssentials
internal import KapsuleCore

extension ImageFile {
    /// Reads all of the image and checks it.
    ///
    /// - Returns: the line that says so.
    func check() async throws -> String {
        let image = try sealed()
        let activity = Activity("verify \(file.name)", total: image.checkedSize)
        toolbox.progress.began(activity)
        do {
            try await image.verify(workers: ProcessInfo.processInfo.activeProcessorCount) { activity.advance(by: $0) }
            toolbox.progress.ended(activity, .succeeded)
        } catch {
            toolbox.progress.ended(activity, .failed(ErrorReport.error(error)))
            throw error
        }
        return "\(file.path): \(image.reference) is whole"
    }
}
