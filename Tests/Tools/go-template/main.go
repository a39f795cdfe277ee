// Renders Go templates as Ollama would: standard input has [{"template": …, "messages": [{"role", "content"}]}], standard
// output gets the rendered texts as a JSON array. Needs nothing but Go's standard library: go run main.go < cases.json
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type renderCase struct {
	Template string    `json:"template"`
	Messages []message `json:"messages"`
}

func render(c renderCase) string {
	parsed, err := template.New("").Option("missingkey=zero").Parse(c.Template)
	if err != nil {
		return "error: " + err.Error()
	}
	var system []string
	for _, m := range c.Messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
	}
	var text strings.Builder
	values := map[string]any{"Messages": c.Messages, "System": strings.Join(system, "\n\n"), "Response": ""}
	if err := parsed.Execute(&text, values); err != nil {
		return "error: " + err.Error()
	}
	return text.String()
}

func main() {
	var cases []renderCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	texts := []string{}
	for _, c := range cases {
		texts = append(texts, render(c))
	}
	if err := json.NewEncoder(os.Stdout).Encode(texts); err != nil {
		panic(err)
	}
}
