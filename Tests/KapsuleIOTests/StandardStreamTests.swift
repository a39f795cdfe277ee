import KapsuleIO
import Testing

@Suite struct StandardStreamTests {
    @Test func aDescriptorThatIsNoTerminalHasNoSize() {
        let stream = StandardStream.output
        #expect(stream.isTerminal || stream.size == nil)
    }

    @Test func writingNothingSucceeds() throws { try StandardStream.error.write("") }
}
