import KapsuleCore
import ModelfileParser
import Testing

@Suite struct SmokeTests {
    @Test func x() {
        let r = Parser.parse("FROM hf://a/b\nPARAMTER x 1\nPARAMETER temprature 1\nPARAMETER top_k 1.5\nSYSTEM You\n are here\n more \nENCRYPT key.pem:secret\nMESSAGE user: x\nTEMPLATE \"\"\"a\n\"\"\" # x\n")
        print(DiagnosticRenderer(source: r.source).render(r.diagnostics))
        print(r.modelfile.instructionsJSON.pretty)
        print(r.modelfile.canonicalText())
    }
}
