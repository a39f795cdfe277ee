/// A Modelfile: its instructions in the order of the file.
///
/// Comes from `Parser`. Knows where everything stands, and nothing of what exists on disk or in the world.
public struct Modelfile: Sendable, Hashable {
    public let instructions: [Instruction]
    /// The comments and blank lines after the last instruction.
    public let trailing: [Instruction.Trivia]

    init(instructions: [Instruction], trailing: [Instruction.Trivia]) {
        self.instructions = instructions
        self.trailing = trailing
    }
}
