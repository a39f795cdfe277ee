internal import KapsuleCore
internal import Store

extension StoreFinding {
    /// One line for people.
    var text: String {
        switch self {
        case .stray(let path): "\(path) is no blob: left by a killed process, or put there by hand; it can be removed"
        case .damaged, .missing, .unreadable: error?.message ?? ""
        }
    }
}
