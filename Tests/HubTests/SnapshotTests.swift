import KapsuleCore
import Testing

@testable import Hub

@Suite struct SnapshotTests {
    static let commit = String(repeating: "0123456789", count: 4)

    @Test(arguments: [
        ("/c/hub/models--acme--m/snapshots/\(commit)", "acme/m"), ("/models--gpt2/snapshots/\(commit)", "gpt2"),
        ("/c/models--a--b-c.d_e/snapshots/\(commit)", "a/b-c.d_e"),
        ("/c/models--acme--m/snapshots/main", nil), ("/c/models--acme--m/snapshots/\(commit)/sub", nil),
        ("/c/datasets--acme--m/snapshots/\(commit)", nil), ("/c/models--acme--m/blobs/\(commit)", nil),
        ("/c/models--/snapshots/\(commit)", nil), ("/c/models--a--b\u{1B}/snapshots/\(commit)", nil), ("/", nil),
    ])
    func theDirectoryOfACommitSaysWhichItIs(_ path: String, _ repository: String?) {
        let snapshot = HubSnapshot(directory: path)
        #expect(snapshot?.repository == repository)
        #expect(snapshot?.commit == (repository == nil ? nil : Self.commit))
    }

    /// The words are those that the hub's API has for such a card.
    @Test(arguments: [
        ("---\nlicense: mit\n---\n", "mit"), ("---\nlicense: \"apache-2.0\" # sure\n---\n", "apache-2.0"),
        ("---\na: b\nlicense: [mit, 'gpl-3.0']\n---\n", "mit AND gpl-3.0"),
        ("---\nlicense:\n- mit\n- gpl-3.0\ntags:\n- x\n---\n", "mit AND gpl-3.0"),
        ("---\nlicense: other\nlicense_name: qwen\n---\n", "qwen"), ("---\r\nlicense: mit\r\n---\r\n", "mit"),
        ("---\nlicense: mit\n", nil), ("license: mit\n", nil), ("---\nlicense:\n---\n", nil), ("---\n---\n", nil),
        ("", nil),
    ])
    func theCardNamesTheLicence(_ card: String, _ expected: String?) {
        #expect(HubLicenses.text(ofCard: MemorySource(Array(card.utf8))) == expected)
    }
}
