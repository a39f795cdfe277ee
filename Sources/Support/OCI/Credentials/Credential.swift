/// Who we are to a registry. Its description shows no secret.
public enum Credential: Sendable, Hashable {
    case password(user: String, password: String)
    /// Exchanged for tokens by POST; the user is for show.
    case identityToken(String, user: String?)
}

extension Credential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .password(let user, _): "password of \(user)"
        case .identityToken(_, let user): "identity token\(user.map { " of \($0)" } ?? "")"
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
