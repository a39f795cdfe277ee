/// Runs `body` for every item, at most `limit` at one time, in the order of the items as far as they start.
///
/// The first error cancels the rest and is thrown when all have ended.
public func forEach<Item: Sendable>(
    _ items: some Sequence<Item>, limit: Int, _ body: @escaping @Sendable (Item) async throws -> Void
) async throws {
    precondition(limit > 0, "a fan-out runs something")
    try await withThrowingTaskGroup(of: Void.self) { group in
        var running = 0
        for item in items {
            if running == limit {
                try await group.next()
                running -= 1
            }
            group.addTask { try await body(item) }
            running += 1
        }
        try await group.waitForAll()
    }
}
