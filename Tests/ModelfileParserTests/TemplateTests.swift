import KapsuleCore
import ModelfileParser
import Testing

/// What is said of a TEMPLATE that Ollama would refuse.
@Suite struct TemplateTests {
    @Test(arguments: [
        "{{ .Prompt }}", "{{ if .System }}{{ .System }}{{ end }}",
        "{{- if .A }}a{{- else if .B }}b{{ else }}c{{ end -}}",
        "{{ range $i, $m := .Messages }}{{ with .Content }}{{ . }}{{ end }}{{ end }}", "{{/* if }} */}}{{ .Prompt }}",
        "{{- /* {{ if */ -}}{{ .Prompt }}", #"{{ "}}" }}{{ `if " ` }}{{ '"' }}{{ "a\"}}" }}"#, "}} {{ .Prompt }} end",
        "{{ $iffy := 1 }}{{ endOf }}{{ .end }}", "{{ define \"x\" }}{{ end }}{{ block \"y\" . }}{{ end }}",
        "{{\n  if .A\n}}a{{\n end }}", "{ {{ .Prompt }} }",
    ])
    func nothingIsSaidOfWhatGoTakes(_ template: String) {
        let result = Parser.parse("FROM x\nTEMPLATE \"\"\"\(template)\"\"\"\n")
        #expect(result.diagnostics.isEmpty, "\(result.diagnostics)")
    }

    @Test(arguments: [
        ("TEMPLATE {{ .Prompt", "2:10 template-action"), ("TEMPLATE {{ if .A }}a", "2:10 template-end"),
        ("TEMPLATE a {{ end }}", "2:12 template-end"), ("TEMPLATE {{ else }}", "2:10 template-end"),
        ("TEMPLATE \"\"\"é\n  {{ if .A }}{{ if .B }}{{ end }}\n\"\"\"", "3:3 template-end"),
        ("TEMPLATE \"\"\"{{ .A }}\n{{ \"x }}\n\"\"\"", "3:1 template-action"),
        ("TEMPLATE {{/* open }}", "2:10 template-action"), ("TEMPLATE \"{{ range .A }}\"", "2:11 template-end"),
    ])
    func whatIsOpenIsShownWhereItOpens(_ text: String, _ expected: String) {
        let result = Parser.parse("FROM x\n\(text)\n")
        let found = result.diagnostics.map { "\($0.span.line):\($0.span.column) \($0.id.dropFirst(10))" }
        #expect(found == [expected])
        #expect(result.modelfile.card.template?.contains("{{") == true, "it is a warning only")
    }

    @Test func theWordsNameTheBlock() {
        let result = Parser.parse("FROM x\nTEMPLATE {{ if .A }}{{ range .B }}x\n")
        #expect(
            result.diagnostics.map(\.message)
                == ["this {{ range }} has no {{ end }}, and 1 more have none, so Ollama refuses the TEMPLATE"])
        #expect(result.diagnostics.map(\.help) == ["write {{ end }} where it ends"])
    }
}
