#!/usr/bin/env python3
"""Types every command that the documentation shows, and compares what comes out: `check-docs.py KAPSULE FILE.md...`.

A block that begins with ```console is a session of a shell in the directory of its file: lines that begin with `$ ` are
typed, the lines below are what they print, stdout and stderr together. A line `…` stands for any lines. A command must
succeed, unless the next one is `echo $?`. All blocks of a file are one session, in a copy of the repository's `examples`,
`docs` and `Scripts`, with a home directory of its own, with a registry at localhost:5000 and without progress.

KAPSULE_RECORD=1 writes into the files what was printed. Files that need a registry are left out, and said to be, where
docker-registry is not installed; with KAPSULE_REQUIRE_TOOLS=1 that is a failure.
"""
import difflib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REGISTRY = "localhost:5000"
ANYTHING = "…"
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Registry:
    """A throw-away docker-registry. Its port has four digits, so that tables are as wide as with 5000."""

    def __init__(self, directory):
        for port in range(5001, 9999):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    break
        self.host = f"localhost:{port}"
        config = os.path.join(directory, "registry.yml")
        with open(config, "w") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{directory}/data'}}}}\n"
                       f"http: {{addr: 'localhost:{port}', secret: docs}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("localhost", port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise SystemExit("check-docs: docker-registry does not start")

    def close(self):
        self.process.terminate()
        self.process.wait()


class Shell:
    """One bash for all commands of a file."""

    def __init__(self, directory, environment):
        self.bash = subprocess.Popen(["bash", "--norc"], cwd=directory, env=environment, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.status = 0

    def type(self, command):
        """Returns what was printed, and keeps the status."""
        mark = f"end-{os.urandom(8).hex()}"
        text = f"(exit {self.status})\n{{ {command}\n}} </dev/null\nprintf '\\n{mark} %d\\n' $?\n"
        self.bash.stdin.write(text.encode())
        self.bash.stdin.flush()
        printed = b""
        while True:
            line = self.bash.stdout.readline()
            if not line:
                raise SystemExit(f"check-docs: the shell ended in: {command}")
            if line.startswith(mark.encode()):
                self.status = int(line.split()[1])
                return printed[:-1].decode()
            printed += line

    def close(self):
        self.bash.stdin.close()
        self.bash.wait()


def commands(lines):
    """Finds the commands of a file: (first line of the command, first line of its output, line after that)."""
    index, inside = 0, False
    while index < len(lines):
        if lines[index].startswith("```"):
            inside = not inside and lines[index].strip() == "```console"
        if not inside or not lines[index].startswith("$ "):
            index += 1
            continue
        start = index
        while lines[index].endswith("\\"):
            index += 1
        index += 1
        end = index
        while not lines[end].startswith(("$ ", "```")):
            end += 1
        yield start, index, end
        index = end


def matches(wanted, got):
    """Whether two lists of lines are equal but for times, and for what `…` stands for."""
    wanted = [TIME.sub("TIME", line) for line in wanted]
    got = [TIME.sub("TIME", line) for line in got]
    if ANYTHING not in wanted:
        return wanted == got
    at = wanted.index(ANYTHING)
    rest = wanted[at + 1:]
    return wanted[:at] == got[:at] and any(matches(rest, got[start:]) for start in range(at, len(got) + 1))


def point(path, host):
    """Makes a file name the registry that there is."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if REGISTRY in text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(REGISTRY, host))


def check(path, kapsule, registry, directory):
    """Runs one file; returns how many commands it has, and what differs."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    home = os.path.join(directory, "you")
    for name in ("examples", "Scripts", "docs"):
        shutil.copytree(os.path.join(REPOSITORY, name), os.path.join(home, "kapsule", name))
    host = registry.host if registry else REGISTRY
    for folder, _, names in os.walk(os.path.join(home, "kapsule", "examples")):
        for name in names:
            if name == "Modelfile":
                point(os.path.join(folder, name), host)
    where = os.path.join(home, "kapsule", os.path.dirname(os.path.relpath(path, REPOSITORY)))
    os.makedirs(where, exist_ok=True)
    environment = {"HOME": home, "PATH": f"{os.path.dirname(kapsule)}:{os.environ['PATH']}", "TMPDIR": directory,
                   "LANG": "C.UTF-8", "KAPSULE_PROGRESS": "none"}
    shell, differences, new, last, count = Shell(where, environment), [], [], 0, 0
    blocks = list(commands(lines))
    for position, (start, middle, end) in enumerate(blocks):
        typed = "\n".join(lines[start:middle])[2:]
        printed = shell.type(typed.replace(REGISTRY, host)).replace(host, REGISTRY).replace(home, "/home/you")
        got = printed.rstrip("\n").split("\n") if printed.strip("\n") else []
        count += 1
        wanted, blank = lines[middle:end], []
        while wanted and not wanted[-1]:
            blank.append(wanted.pop())
        new += lines[last:middle]
        following = blocks[position + 1] if position + 1 < len(blocks) else None
        asked = following is not None and lines[following[0]] == "$ echo $?"
        if shell.status != 0 and not asked:
            differences.append(f"{path}:{start + 1}: exit {shell.status}: {typed}\n" + "\n".join(got))
        elif not matches(wanted, got):
            differences.append(f"{path}:{start + 1}: {typed}\n" + "\n".join(
                difflib.unified_diff(wanted, got, "documented", "printed", lineterm="")))
            if ANYTHING not in wanted:
                wanted = got
        new += wanted + blank
        last = end
    shell.close()
    if differences and os.environ.get("KAPSULE_RECORD") == "1":
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(new + lines[last:]))
    return count, differences


def flags(text):
    return set(re.findall(r"--[a-z][a-z-]+", text))


def check_flags(path, kapsule):
    """Compares the tables of flags in the reference of the command line with what `--help` lists."""
    with open(path, encoding="utf-8") as file:
        parts = re.split(r"^## (.*)\n", file.read(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))

    def listed(section):
        rows = [line.split("|")[1] for line in sections[section].split("\n") if line.startswith("| `-")]
        return flags(" ".join(rows)).union(
            *(listed(shared) for shared in ("Registry flags", "Output flags", "Encryption flags", "Decryption flags", "Vault flags", "Image file flags")
              if section.startswith("kapsule ") and f"[{shared.lower()}]" in sections[section]))

    differences = []
    for section in sections:
        if not section.startswith("kapsule "):
            continue
        help_text = subprocess.run([kapsule, *section.split()[1:], "--help"], capture_output=True, text=True).stdout
        options = [re.split("  | <", line[2:])[0] for line in help_text.split("\n") if re.match(r"  (-|--)\S", line)]
        wanted = flags(" ".join(options)) - {"--help", "--version"}
        for name in sorted(wanted ^ listed(section)):
            what = "is not in the table" if name in wanted else "is in the table and not in --help"
            differences.append(f"{path}: {section}: {name} {what}")
    return differences


def main():
    kapsule, files = os.path.abspath(sys.argv[1]), [os.path.abspath(path) for path in sys.argv[2:]]
    if not os.access(kapsule, os.X_OK):
        raise SystemExit(f"check-docs: there is no program {sys.argv[1]}: build it with 'make release'")
    total, failed = 0, False
    with tempfile.TemporaryDirectory(prefix="kapsule-docs-") as top:
        registry = None
        if shutil.which("docker-registry"):
            registry = Registry(top)
        try:
            for index, path in enumerate(files):
                with open(path, encoding="utf-8") as file:
                    needs = any(REGISTRY in line for line in file if line.startswith(("$ ", "  ")))
                if needs and not registry:
                    print(f"check-docs: {os.path.relpath(path)} needs docker-registry, which is not installed")
                    failed = failed or os.environ.get("KAPSULE_REQUIRE_TOOLS") == "1"
                    continue
                count, differences = check(path, kapsule, registry, os.path.join(top, str(index)))
                if path.endswith("/docs/cli.md"):
                    differences += check_flags(path, kapsule)
                total += count
                for difference in differences:
                    print(difference)
                failed = failed or bool(differences)
        finally:
            if registry:
                registry.close()
    print(f"check-docs: {total} commands of {len(files)} files{' typed, with differences' if failed else ' work as written'}")
    sys.exit(1 if failed else 0)


main()
