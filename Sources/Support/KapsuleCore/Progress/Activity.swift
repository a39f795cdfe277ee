import Synchronization

/// Something that takes time. Any thread may call `advance`: one relaxed atomic add, so call it per block.
public final class Activity: Sendable {
    public let title: String
    /// Bytes expected in all, when known.
    public let total: Int64?
    private let count = Atomic<Int64>(0)
    private let highest = Atomic<Int64>(0)

    public init(_ title: String, total: Int64?) {
        self.title = title
        self.total = total
    }

    public func advance(by bytes: Int) {
        let (_, now) = count.wrappingAdd(Int64(bytes), ordering: .relaxed)
        highest.max(now, ordering: .relaxed)
    }

    /// An attempt that starts again from `offset`. What is shown does not run backwards: it waits until the new
    /// attempt has come further than the old one.
    public func restart(at offset: Int64) { count.store(offset, ordering: .relaxed) }

    /// The furthest any attempt has come, in bytes.
    public var done: Int64 { highest.load(ordering: .relaxed) }
}

public enum ActivityOutcome: Sendable { case succeeded, skipped, failed(KapsuleError) }

/// Hears of activities as they begin and end; how far each has come is read from the activity itself.
public protocol ProgressReporter: Sendable {
    func began(_ activity: Activity)
    func ended(_ activity: Activity, _ outcome: ActivityOutcome)
}

/// Tells nobody.
public struct SilentProgress: ProgressReporter {
    public init() {}
    public func began(_ activity: Activity) {}
    public func ended(_ activity: Activity, _ outcome: ActivityOutcome) {}
}

extension ProgressReporter {
    /// Runs `body` as an activity that ends when it does.
    public func during<T>(_ title: String, total: Int64?, _ body: (Activity) throws -> T) throws -> T {
        let activity = Activity(title, total: total)
        began(activity)
        do {
            let result = try body(activity)
            ended(activity, .succeeded)
            return result
        } catch {
            ended(activity, .failed(error as? KapsuleError ?? KapsuleError(.defect, id: "unexpected", "\(error)")))
            throw error
        }
    }
}
