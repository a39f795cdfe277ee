internal import Dispatch
internal import KapsuleCore
internal import KapsuleIO
internal import Synchronization

/// A bearer token, and until when it is good.
struct Token: Sendable {
    let value: String
    let expiry: ContinuousClock.Instant

    var isFresh: Bool { ContinuousClock.now < expiry }
}

/// Tokens of a run. Whoever needs a token that another thread is asking for waits for that one.
final class TokenCache: Sendable {
    struct Key: Hashable, Sendable {
        let realm: String
        let service: String?
        /// Merged, ascending.
        let scopes: [Scope]
        let account: String?
    }

    /// An exchange under way.
    private final class Flight: Sendable {
        let end = DispatchGroup()
        let result = Mutex<Result<Token, any Error>?>(nil)

        init() { end.enter() }

        func land(_ outcome: Result<Token, any Error>) {
            result.withLock { $0 = outcome }
            end.leave()
        }

        func wait() throws -> Result<Token, any Error> {
            while end.wait(timeout: .now() + .milliseconds(200)) == .timedOut { try Task.checkNotInterrupted() }
            return result.withLock { $0 } ?? .failure(CancellationError())
        }
    }

    private struct State {
        var tokens: [Key: Token] = [:]
        var flights: [Key: Flight] = [:]
    }

    private enum Turn { case known(Token), wait(Flight), fly(Flight) }

    private let state = Mutex(State())

    /// - Parameter refused: a token that the registry did not take, which is not given again.
    func token(_ key: Key, refused: String?, _ exchange: () throws -> Token) throws -> Token {
        while true {
            switch turn(key, refused) {
            case .known(let token): return token
            case .wait(let flight):
                switch try flight.wait() {
                case .success(let token): return token
                // Its leader was interrupted, we were not: fly ourselves.
                case .failure(let error as KapsuleError) where error.code == .interrupted: continue
                case .failure(let error): throw error
                }
            case .fly(let flight):
                let result = Result { try exchange() }
                state.withLock { state in
                    state.flights[key] = nil
                    if case .success(let token) = result { state.tokens[key] = token }
                }
                flight.land(result)
                return try result.get()
            }
        }
    }

    private func turn(_ key: Key, _ refused: String?) -> Turn {
        state.withLock { state in
            if let token = state.tokens[key], token.isFresh, token.value != refused { return .known(token) }
            if let flight = state.flights[key] { return .wait(flight) }
            let flight = Flight()
            state.flights[key] = flight
            return .fly(flight)
        }
    }
}
