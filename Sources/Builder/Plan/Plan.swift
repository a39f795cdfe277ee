public import KapsuleCore

/// What to do, decided and pinned. Holds no bytes and does no I/O.
public struct Plan: Sendable {
    /// A node's place in the plan.
    public struct ID: Hashable, Sendable {
        public let index: Int
    }

    public struct Node: Sendable {
        public let step: any Step
        public let inputs: [ID]
        public let state: State
        /// The Modelfile line that asked for this. Decides nothing.
        public let span: SourceSpan?
    }

    /// What is known of a step before anything runs.
    public enum State: String, Sendable, Hashable {
        /// Has to be done.
        case pending
        /// The result is at its destination already: nothing is read.
        case cached
    }

    public private(set) var nodes: [Node] = []

    public init() {}

    /// Adds a step after its inputs. An ID exists only once its node is in, so a plan cannot hold a cycle.
    @discardableResult
    public mutating func add(
        _ step: some Step, after inputs: [ID] = [], state: State = .pending, at span: SourceSpan? = nil
    ) -> ID {
        nodes.append(Node(step: step, inputs: inputs, state: state, span: span))
        return ID(index: nodes.count - 1)
    }

    /// The nodes whose steps are of one kind, with their IDs, in order.
    public func nodes(of kind: StepKind) -> [(id: ID, node: Node)] {
        nodes.enumerated().filter { $0.element.step.kind == kind }.map { (ID(index: $0.offset), $0.element) }
    }
}

/// One thing to do. Two questions, kept apart: what decides the outcome, and what it is called.
public protocol Step: Sendable {
    var kind: StepKind { get }
    /// What it works on, as the plan and progress name it: `model.safetensors`.
    var subject: String { get }
    /// Bytes it moves; nil where it moves none worth naming.
    var size: Int64? { get }
    /// Where the result goes, by the outputs' names; empty for a source.
    var outputs: [String] { get }
    /// Mixes in everything that decides the outcome and nothing that does not: no local paths, times, hosts or
    /// credentials. Equal keys mean equal bytes.
    func describe(into key: inout StepKey)
}

extension Step {
    public var key: Digest? {
        var key = StepKey(kind.rawValue)
        describe(into: &key)
        return key.digest
    }
}

public enum StepKind: String, Sendable, CaseIterable {
    /// Something a FROM or ADAPTER names; nothing moves.
    case source = "SOURCE"
    /// One file, or all the small ones, read once for every output that wants it.
    case transfer = "TRANSFER"
    /// One output made visible, after all its files.
    case commit = "COMMIT"
}
