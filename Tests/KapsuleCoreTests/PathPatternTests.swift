import KapsuleCore
import Testing

@Suite struct PathPatternTests {
    // Rows checked with `git check-ignore --no-index`.
    @Test(arguments: [
        ("*.bin", "a.bin", true), ("*.bin", "x/a.bin", true), ("*.bin", "a.bin.txt", false),
        ("/a.bin", "a.bin", true), ("/a.bin", "x/a.bin", false),
        ("x/a.bin", "x/a.bin", true), ("x/a.bin", "y/x/a.bin", false),
        ("original/", "original/a", true), ("original/", "original", false), ("original", "original/deep/a", true),
        ("original/**", "original/a/b", true), ("original/**", "original", false),
        ("**/a", "a", true), ("**/a", "x/y/a", true), ("x/**/a", "x/a", true), ("x/**/a", "x/y/z/a", true),
        ("consolidated*.safetensors", "consolidated-1.safetensors", true),
        ("a?c", "abc", true), ("a?c", "ac", false), ("a?c", "a/c", false),
        ("[ab].txt", "a.txt", true), ("[!ab].txt", "a.txt", false), ("[a-c]x", "bx", true), ("[]]", "]", true),
        ("[a", "[a", true), ("\\*.bin", "*.bin", true), ("\\*.bin", "a.bin", false),
        ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaac", false), ("*", "x/y", true),
        ("a*/b", "ax/b", true), ("a*/b", "a/x/b", false),
    ])
    func matches(_ pattern: String, _ path: String, _ expected: Bool) throws {
        let pattern = try #require(PathPattern(pattern))
        #expect(pattern.matches(try BundlePath(validating: path)) == expected)
    }

    @Test(arguments: ["", "/", "!", "!/"])
    func isNoPattern(_ text: String) { #expect(PathPattern(text) == nil) }

    @Test func theLastMatchingPatternDecides() throws {
        let filter = PathFilter(["*.bin", "!model-00001.bin", "x/model-00001.bin"])
        #expect(filter.excludes(try BundlePath(validating: "a.bin")))
        #expect(!filter.excludes(try BundlePath(validating: "model-00001.bin")))
        #expect(filter.excludes(try BundlePath(validating: "x/model-00001.bin")))
    }

    @Test func ignoreFileDropsCommentsAndBlankLines() {
        let filter = PathFilter(ignoreFile: "# no\n\n*.tmp  \r\n!keep.tmp\n")
        #expect(filter.patterns.map(\.text) == ["*.tmp", "!keep.tmp"])
    }
}
