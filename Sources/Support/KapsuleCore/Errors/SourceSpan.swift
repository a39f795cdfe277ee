/// A stretch of one line of a Modelfile. Lines and columns count from 1; columns are UTF-8 bytes.
public struct SourceSpan: Hashable, Sendable {
    /// As the person named it; `-` for standard input.
    public var file: String
    public var line: Int
    public var column: Int
    /// Bytes; 0 marks a place between two bytes, such as the end of a line.
    public var length: Int

    public init(file: String, line: Int, column: Int, length: Int) {
        self.file = file
        self.line = line
        self.column = column
        self.length = length
    }
}
