"""Chat templates of models, rendered: what a template of ours for Ollama has to give.

    chat_templates.py jinja FOLDER          every *.jinja of FOLDER gives what FOLDER/rendered.json says
    chat_templates.py go FOLDER GO          every *.gotmpl gives the same; GO is the go program
    chat_templates.py record FOLDER         writes rendered.json from the *.jinja files
"""

import json
import os
import subprocess
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment

TURNS = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hi <there> & \"you\""},
    {"role": "assistant", "content": "Hello!\n\n1 < 2"},
    {"role": "user", "content": "Why? é 日本"},
]
CONVERSATIONS = {"with a system message": TURNS, "without": TURNS[1:], "one question": TURNS[3:]}
BEGIN, END = "<s>", "</s>"


def refuse(message):
    raise ValueError(message)


def render_jinja(text, messages):
    """As transformers does, without the token that begins the text: the runner puts it there."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: "2026-01-02"
    rendered = environment.from_string(text).render(
        messages=messages, add_generation_prompt=True, bos_token=BEGIN, eos_token=END)
    return rendered.removeprefix(BEGIN)


def families(folder):
    return sorted(name.removesuffix(".jinja") for name in os.listdir(folder) if name.endswith(".jinja"))


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8", newline="") as file:
        return file.read()


def rendered(folder):
    return {
        family: {name: render_jinja(read(folder, family + ".jinja"), turns) for name, turns in CONVERSATIONS.items()}
        for family in families(folder)
    }


def render_go(go, pairs):
    cases = json.dumps([{"template": template, "messages": messages} for template, messages in pairs])
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "go-template", "main.go")
    answer = subprocess.run([go, "run", program], input=cases, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def compare(folder, actual):
    expected = json.loads(read(folder, "rendered.json"))
    bad = [(f, c) for f in expected for c in expected[f] if actual.get(f, {}).get(c) != expected[f][c]]
    for family, name in bad:
        print(f"{family}, {name}:\n  {expected[family][name]!r}\n  {actual.get(family, {}).get(name)!r}")
    if bad or set(actual) != set(expected):
        sys.exit(f"different: {sorted(set(actual) ^ set(expected))}")
    print(f"{len(expected)} families")


def main():
    verb, folder = sys.argv[1:3]
    if verb == "record":
        with open(os.path.join(folder, "rendered.json"), "w", encoding="utf-8") as file:
            json.dump(rendered(folder), file, ensure_ascii=False, indent=1)
            file.write("\n")
    elif verb == "jinja":
        compare(folder, rendered(folder))
    elif verb == "go":
        keys = [(f, c) for f in families(folder) for c in CONVERSATIONS]
        texts = render_go(sys.argv[3], [(read(folder, f + ".gotmpl"), CONVERSATIONS[c]) for f, c in keys])
        actual = {}
        for (family, name), text in zip(keys, texts):
            actual.setdefault(family, {})[name] = text
        compare(folder, actual)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
