#!/usr/bin/env python3
"""Side by side with other tools, in one run: `bench.py KAPSULE [--runs N] [--size MEBIBYTES] [--section NAME]`.

Every row runs its commands in turn (A B A B …), so that a machine that gets slower does so for both. Printed are medians
of whole processes as the kernel accounts them: wall and CPU seconds, peak memory, bytes read and written by the process
(rchar, wchar: page cache included, memory mappings not), and the ratios of the medians of wall and CPU seconds to each peer's.

Needs docker-registry, GNU time, skopeo, umoci and curl; a peer that is missing is named and left out.
"""
import argparse
import atexit
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Measure:
    """One process, from start to end."""

    def __init__(self, command, environment):
        # A process starts with the peak memory of the one that started it, which therefore has to be a small one.
        peak = os.path.join(environment["TMPDIR"], "peak")
        timed = ["/usr/bin/time", "-q", "-o", peak, "-f", "%M"] + command
        before = time.monotonic()
        process = subprocess.Popen(timed, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True)
        errors = process.stderr.read()
        # Not reaped yet: what it has read and written can still be asked.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.wall = time.monotonic() - before
        try:
            with open(f"/proc/{process.pid}/io") as file:
                counters = dict(line.split(": ") for line in file)
            self.read, self.written = int(counters["rchar"]), int(counters["wchar"])
        except (OSError, KeyError):
            self.read = self.written = None
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{errors.decode(errors='replace')}")
        self.cpu = usage.ru_utime + usage.ru_stime
        with open(peak) as file:
            self.memory = int(file.read()) * 1024


class Registry:
    """A throw-away docker-registry on loopback."""

    def __init__(self, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.root = directory
        os.makedirs(directory)
        config = os.path.join(directory, "config.yml")
        with open(config, "w") as file:
            file.write(f"""version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {directory}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{self.port}
  secret: bench
""")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=1)
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("docker-registry does not answer")

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def clear(self):
        shutil.rmtree(os.path.join(self.root, "data"), ignore_errors=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Bench:
    def __init__(self, arguments, directory):
        self.kapsule = os.path.abspath(arguments.kapsule)
        self.runs, self.only = arguments.runs, arguments.only
        self.directory = directory
        self.environment = dict(os.environ, KAPSULE_HOME=self.path("store"), XDG_CACHE_HOME=self.path("cache"),
                                KAPSULE_PROGRESS="none", HOME=self.path("home"), TMPDIR=self.path("tmp"))
        for name in ("home", "cache", "tmp"):
            os.makedirs(self.path(name))
        self.registry = Registry(self.path("registry"))
        self.results = []

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def forget(self, *names):
        for name in names:
            shutil.rmtree(self.path(name), ignore_errors=True)

    def once(self, *command):
        return Measure(list(command), self.environment)

    def row(self, title, *contenders):
        """`contenders`: (name, command, what to do before each run). The first is ours."""
        if self.only and not re.search(self.only, title):
            return
        present = [contender for contender in contenders if shutil.which(contender[1][0])]
        for contender in contenders:
            if contender not in present:
                print(f"{title}: {contender[1][0]} is not installed; {contender[0]} is left out", file=sys.stderr)
        measured = {name: [] for name, _, _ in present}
        for run in range(self.runs + 1):
            for name, command, prepare in present:
                if name not in measured:
                    continue
                prepare()
                try:
                    result = self.once(*command)
                except SystemExit as failure:
                    if name == present[0][0]:
                        raise
                    print(f"{title}: {name} failed and is left out: {failure}", file=sys.stderr)
                    measured.pop(name)
                    continue
                if run > 0:  # The first round warms the page cache.
                    measured[name].append(result)
        print(f"\n### {title}\n")
        print("| | wall s | CPU s | peak memory | read | written | wall, ours / theirs | CPU, ours / theirs |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        ours = present[0][0]
        for name in measured:
            def median(key, name=name):
                values = [getattr(result, key) for result in measured[name]]
                return None if None in values else statistics.median(values)

            def ratio(key):
                theirs = median(key)
                return "" if name == ours or not theirs else f"{median(key, ours) / theirs:.2f}"
            print(f"| {name} | {median('wall'):.2f} | {median('cpu'):.2f} | {mebibytes(median('memory'))} "
                  f"| {mebibytes(median('read'))} | {mebibytes(median('written'))} | {ratio('wall')} | {ratio('cpu')} |")
        sys.stdout.flush()


def mebibytes(count):
    return "" if count is None else f"{count / (1 << 20):.0f} MiB"


def write_safetensors(path, mebibytes):
    """One tensor of random bytes."""
    count = mebibytes << 20
    head = json.dumps({"weight": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _ in range(mebibytes // 8):
            file.write(os.urandom(8 << 20))


def main_rows(bench, size):
    """The main job: four files of `size` MiB."""
    kapsule, host = bench.kapsule, bench.registry.host
    model = bench.path("model")
    os.makedirs(model)
    for index in range(4):
        write_safetensors(os.path.join(model, f"model-{index + 1:05}-of-00004.safetensors"), size)
    with open(os.path.join(model, "config.json"), "w") as file:
        file.write("{}\n")
    with open(os.path.join(model, "Modelfile"), "w") as file:
        file.write("FROM .\n")
    sizes = f"4 × {size} MiB"

    def nothing():
        pass

    # Digests of the files are forgotten before each build, so that every byte is read and hashed.
    bench.row(
        f"build into the local store, {sizes}",
        ("kapsule build", [kapsule, "build", "--no-cache", "--force", "-t", "bench:1", model],
         lambda: bench.forget("store", "cache")),
        ("cp", ["cp", "-r", model, bench.path("copy")], lambda: bench.forget("copy")),
        ("sha256sum", ["sh", "-c", f"sha256sum {model}/*.safetensors"], nothing))
    bench.forget("copy", "store", "cache")
    bench.once(kapsule, "build", "-t", "bench:1", model)
    bench.once(kapsule, "export", "bench:1", "-o", bench.path("layout"))
    layout = f"oci:{bench.path('layout')}:1"
    blobs = bench.path("layout", "blobs", "sha256")
    large = [os.path.join(blobs, name) for name in os.listdir(blobs)
             if os.path.getsize(os.path.join(blobs, name)) > 1 << 20]
    uploads = bench.path("upload.sh")
    with open(uploads, "w") as file:
        file.write("set -eu\n")
        for path in large:
            digest = os.path.basename(path)
            file.write(f"""(location=$(curl -sS -X POST -D - -o /dev/null http://{host}/v2/curl/blobs/uploads/ |
    tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
location=$(curl -sS -X PATCH -T {path} -D - -o /dev/null -H 'Content-Type: application/octet-stream' -H Expect: "$location" |
    tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
curl -sS -f -X PUT -o /dev/null "$location&digest=sha256:{digest}") &
""")
        file.write("wait\n")
    clear = bench.registry.clear
    bench.row(
        f"build straight into a registry, {sizes}",
        ("kapsule build", [kapsule, "build", "--no-cache", "-t", f"{host}/ours:1", model], clear),
        ("curl, 4 at a time, no hashing", ["sh", uploads], clear),
        ("skopeo copy", ["skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-compress=false", layout,
                         f"docker://{host}/theirs:1"], clear))
    bench.row(
        f"push a stored image, {sizes}",
        ("kapsule push", [kapsule, "push", "bench:1", f"{host}/ours:1"], clear),
        ("curl, 4 at a time, no hashing", ["sh", uploads], clear),
        ("skopeo copy", ["skopeo", "copy", "-q", "--dest-tls-verify=false", layout, f"docker://{host}/theirs:1"], clear))
    clear()
    bench.once(kapsule, "push", "bench:1", f"{host}/m:1")
    downloads = " & ".join(
        f"curl -sS -f -o {bench.path('down')}/{os.path.basename(path)} "
        f"http://{host}/v2/m/blobs/sha256:{os.path.basename(path)}" for path in large)
    bench.row(
        f"pull and verify into a layout, {sizes}",
        ("kapsule pull", [kapsule, "pull", "-o", bench.path("ours"), f"{host}/m:1"], lambda: bench.forget("ours")),
        ("skopeo copy", ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{host}/m:1",
                         f"oci:{bench.path('theirs')}:1"], lambda: bench.forget("theirs")),
        ("curl, 4 at a time, no hashing", ["sh", "-c", f"mkdir {bench.path('down')} && {downloads} & wait"],
         lambda: bench.forget("down")))
    bench.forget("ours", "theirs", "down")
    unpack = (f"skopeo copy -q --src-tls-verify=false docker://{host}/m:1 oci:{bench.path('theirs')}:1 && "
              f"umoci unpack --rootless --image {bench.path('theirs')}:1 {bench.path('bundle')}")
    bench.row(
        f"pull into a directory, {sizes}",
        ("kapsule pull --format hf", [kapsule, "pull", "--format", "hf", "-o", bench.path("ours"), f"{host}/m:1"],
         lambda: bench.forget("ours")),
        ("skopeo copy, umoci unpack", ["sh", "-c", unpack], lambda: bench.forget("theirs", "bundle")))
    bench.forget("ours", "theirs", "bundle")
    modelfile = os.path.join(model, "Modelfile")

    def change():
        change.count += 1
        with open(modelfile, "w") as file:
            file.write(f"FROM .\nPARAMETER seed {change.count}\n")
    change.count = 0
    bench.row(
        f"build again with another PARAMETER, {sizes}",
        ("kapsule build", [kapsule, "build", "--force", "-t", "bench:1", model], change),
        ("kapsule version (start-up alone)", [kapsule, "version"], nothing))
    bench.forget("layout", "store", "model")
    clear()


def memory_rows(bench, size):
    """One layer of `size` MiB, pushed and pulled: what matters is peak memory."""
    kapsule, host = bench.kapsule, bench.registry.host
    model = bench.path("one")
    os.makedirs(model)
    write_safetensors(os.path.join(model, "model.safetensors"), size)
    with open(os.path.join(model, "Modelfile"), "w") as file:
        file.write("FROM .\n")
    bench.row(f"push one layer of {size} MiB from its source",
              ("kapsule build", [kapsule, "build", "--no-cache", "-t", f"{host}/one:1", model], bench.registry.clear))
    bench.row(f"pull one layer of {size} MiB into a directory",
              ("kapsule pull --format hf", [kapsule, "pull", "--format", "hf", "-o", bench.path("ours"), f"{host}/one:1"],
               lambda: bench.forget("ours")))


def write_gguf(path, mebibytes):
    """A GGUF file of one tensor."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    count = (mebibytes << 20) // 4
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("token_embd.weight") + struct.pack("<IQIQ", 1, count, 0, 0)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for _ in range(mebibytes // 8):
            file.write(os.urandom(8 << 20))


def fan_rows(bench, size):
    """Four outputs of one file of `size` MiB, from one read; and each of them alone."""
    kapsule, host = bench.kapsule, bench.registry.host
    model, out = bench.path("fan-model"), bench.path("fan")
    os.makedirs(model)
    write_gguf(os.path.join(model, "model.gguf"), size)
    modelfile = bench.path("fan.Modelfile")
    with open(modelfile, "w") as file:
        file.write("FROM ./model.gguf\n")
    outputs = {"registry": ["--output", "type=registry"], "verity": ["--output", f"type=verity,dest={out}/verity"],
               "ollama": ["--output", f"type=ollama,dest={out}/ollama"], "hf": ["--output", f"type=hf,dest={out}/hf"]}
    build = [kapsule, "build", "--no-cache", "--model-id", "bench/fan@1", "-f", modelfile]

    def command(*kinds):
        tag = ["-t", f"{host}/bench/fan:1"] if {"registry", "ollama"} & set(kinds) else []
        return build + tag + sum((outputs[kind] for kind in kinds), []) + [model]

    def clear():
        bench.forget("fan")
        bench.registry.clear()

    bench.row(f"four outputs from one read of {size} MiB",
              ("all four", command(*outputs), clear), *((f"{kind} alone", command(kind), clear) for kind in outputs))
    bench.forget("fan", "fan-model")
    bench.registry.clear()


def encryption_rows(bench, size):
    """Layers encrypted and decrypted, layout to layout: one of `size` MiB, and four of a quarter."""
    kapsule = bench.kapsule
    bench.once(kapsule, "keygen", "--type", "rsa", "-o", bench.path("key"))
    private, public = bench.path("key.pem"), bench.path("key.pub.pem")
    bound = cipher_bound(size << 20)
    for parts, title in ((1, f"one layer of {size} MiB"), (4, f"4 × {size // 4} MiB")):
        model, plain, secret = bench.path("model"), bench.path("plain"), bench.path("secret")
        os.makedirs(model)
        for index in range(parts):
            write_safetensors(os.path.join(model, f"model-{index}.safetensors"), size // parts)
        modelfile = bench.path("encryption.Modelfile")
        with open(modelfile, "w") as file:
            file.write("FROM .\n")
        bench.once(kapsule, "build", "-f", modelfile, "-t", "m:1", "-o", plain, model)
        ours, theirs = bench.path("ours"), bench.path("theirs")

        def forget():
            bench.forget("ours", "theirs")

        bench.row(
            f"encrypt, {title}",
            ("kapsule export", [kapsule, "export", f"oci:{plain}:1", "-o", ours, "--encryption-key", public], forget),
            ("skopeo copy", ["skopeo", "copy", "-q", "--encryption-key", f"jwe:{public}", f"oci:{plain}:1",
                             f"oci:{theirs}:1"], forget))
        print(f"\nThree SHA-256 passes and one AES pass, at one core's speed, over all cores: {bound:.2f} s.")
        forget()
        bench.once(kapsule, "export", f"oci:{plain}:1", "-o", secret, "--encryption-key", public)
        bench.row(
            f"decrypt, {title}",
            ("kapsule export", [kapsule, "export", f"oci:{secret}:1", "-o", ours, "--decryption-key", private], forget),
            ("skopeo copy", ["skopeo", "copy", "-q", "--decryption-key", private, f"oci:{secret}:1", f"oci:{theirs}:1"],
             forget))
        forget()
        bench.forget("model", "plain", "secret")


def cipher_bound(size):
    """Seconds that the hashing and the cipher of an encrypted layer of `size` bytes take at least, spread evenly."""
    block = bytes(256 << 20)
    start = time.monotonic()
    hashlib.sha256(block).digest()
    hashing = time.monotonic() - start
    speed = subprocess.run(["openssl", "speed", "-elapsed", "-seconds", "1", "-bytes", "1048576", "-evp", "aes-256-ctr"],
                           capture_output=True, text=True, check=True).stdout
    ciphered = float(re.search(r"(?i)aes-256-ctr\s+([0-9.]+)k", speed).group(1)) * 1000
    return (3 * hashing * size / len(block) + size / ciphered) / os.cpu_count()


def verity_rows(bench, size):
    """Images with hash trees of four files of `size` MiB."""
    kapsule = bench.kapsule
    model = bench.path("verity-model")
    os.makedirs(model)
    for index in range(4):
        write_safetensors(os.path.join(model, f"model-{index + 1:05}-of-00004.safetensors"), size)
    modelfile = bench.path("verity.Modelfile")
    with open(modelfile, "w") as file:
        file.write("FROM .\n")
    with open(bench.path("key"), "w") as file:
        file.write(base64.b64encode(bytes(range(64))).decode())
    image, out, plain = bench.path("theirs.img"), bench.path("out"), bench.path("plain")
    identity = "bench/model@1"
    uuid_text = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{identity}-inner"))
    salt = hashlib.sha256(identity.encode()).hexdigest()
    sizes = f"4 × {size} MiB"
    build = [kapsule, "build", "--no-cache", "-f", modelfile, "--verity-profile", "modelwrap-1", "--model-id", identity,
             "--key-file", bench.path("key"), "-o", out]
    made = f"mkfs.erofs --all-root -T0 -U{uuid_text} {image} {model}"
    tree = (f"veritysetup format --uuid {uuid_text} --salt {salt} --hash-offset $(stat -c %s {image}) "
            f"--data-blocks $(($(stat -c %s {image}) / 4096)) {image} {image}")

    def forget():
        bench.forget("out", "plain")
        for name in ("theirs.img", "theirs.enc"):
            if os.path.exists(bench.path(name)):
                os.remove(bench.path(name))

    bench.row(
        f"verity image and hash tree, {sizes}",
        ("kapsule build --format verity", build + ["--format", "verity", model], forget),
        ("mkfs.erofs, veritysetup format", ["sh", "-c", f"{made} && {tree}"], forget),
        ("cp", ["cp", "-r", model, plain], forget))
    bench.row(
        f"encrypted disk, {sizes}",
        ("kapsule build --format emwp", build + ["--format", "emwp", model], forget),
        ("mkfs.erofs, veritysetup format, openssl enc",
         ["sh", "-c", f"{made} && {tree} && openssl enc -aes-256-ctr -K {'00' * 32} -iv {'00' * 16} -in {image} "
          f"-out {bench.path('theirs.enc')}"], forget))
    forget()
    bench.once(*build, "--format", "verity", model)
    bench.once("sh", "-c", f"{made} && {tree}")
    ours = os.path.join(os.path.dirname(kapsule), "verity-tree")
    plain_image = bench.path("plain.img")
    bench.once("mkfs.erofs", "--all-root", "-T0", f"-U{uuid_text}", plain_image, model)
    data = os.path.getsize(plain_image)

    def cut():
        os.truncate(plain_image, data)

    bench.row(
        f"hash tree alone, {sizes}",
        ("kapsule's tree", [ours, plain_image, salt, uuid_text], cut),
        ("veritysetup format",
         ["veritysetup", "format", "--uuid", uuid_text, "--salt", salt, "--hash-offset", str(data), "--data-blocks",
          str(data // 4096), plain_image, plain_image], cut))
    os.remove(plain_image)
    mpk = os.path.join(out, "bench", "model", "1.mpk")
    with open(mpk[:-3] + "info") as file:
        root, offset, _ = file.read().split("_")
    bench.row(
        f"verify an image, {sizes}",
        ("kapsule verify", [kapsule, "verify", "--root-hash", f"{root}_{offset}_{uuid_text}", "--model-id", identity, mpk],
         lambda: None),
        ("veritysetup verify", ["veritysetup", "verify", "--hash-offset", offset, mpk, mpk, root], lambda: None))
    forget()
    bench.forget("verity-model")


class HubStandIn:
    """The tests' stand-in for the hub, with one model: `acme/m`."""

    def __init__(self, bench, size):
        program = os.path.join(REPOSITORY, "Tests", "Tools", "hf_standin.py")
        root, ready = bench.path("hub"), bench.path("hub-ready")
        self.model = os.path.join(root, "acme", "m")
        subprocess.run([sys.executable, program, "gen", self.model, "--shards", "4", "--shard-mib", str(size)],
                       check=True, stdout=subprocess.DEVNULL)
        # A file with '#' in its name, at which oci-modelcar 1.3.0 gives up: it asks for what stands before it.
        shutil.rmtree(os.path.join(self.model, "assets"))
        self.process = subprocess.Popen([sys.executable, program, "serve", root, "--port", "0", "--ready-file", ready],
                                        stdout=subprocess.DEVNULL)
        # Also when a row ends the program.
        atexit.register(self.process.kill)
        while not os.path.exists(ready):
            time.sleep(0.1)
        with open(ready) as file:
            self.endpoint = f"http://127.0.0.1:{file.read().split()[0]}"
        self.large = sorted(name for name in os.listdir(self.model) if name.endswith("-of-00004.safetensors"))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def hub_rows(bench, size):
    """A model of the hub's stand-in, four files of `size` MiB: into a registry, a directory and a verity image."""
    hub = HubStandIn(bench, size)
    tools = os.path.join(os.environ.get("KAPSULE_TOOLS", ""), "venv", "bin")
    kapsule, host, sizes = bench.kapsule, bench.registry.host, f"4 × {size} MiB"
    bench.environment["HF_ENDPOINT"] = hub.endpoint
    bench.environment["HF_HUB_DISABLE_XET"] = "1"
    build = [kapsule, "build", "--no-cache"]

    def clear():
        bench.registry.clear()
        bench.forget("store", "cache", "home", "tmp", "out", "spool", "fetched")
        for name in ("home", "cache", "tmp", "fetched"):
            os.makedirs(bench.path(name))

    files = " ".join(hub.large)
    upload = (f"set -e; cd {hub.model}; put() {{ d=$(sha256sum $1 | cut -c1-64); "
              f"l=$(curl -sS -D - -o /dev/null -X POST http://{host}/v2/c/blobs/uploads/ | tr -d '\\r' | "
              f"sed -n 's/^[Ll]ocation: //p'); curl -sS --fail -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' "
              f"-T $1 \"$l&digest=sha256:$d\"; }}; ")
    # Without the digests, which curl does not work out: they are known beforehand.
    known = "".join(f"sum_{index}={digest}; " for index, digest in enumerate(sums(hub.model, hub.large)))
    upload = upload.replace("d=$(sha256sum $1 | cut -c1-64); ", "d=$2; ")
    puts = " ".join(f"put {name} $sum_{index} &" for index, name in enumerate(hub.large))
    modelcar = ("oci-modelcar, 4 workers",
                [os.path.join(tools, "oci-modelcar"), "push", "--hf-repo", "acme/m", "--hf-endpoint", hub.endpoint,
                 "--registry", host, "--target-repo", "m", "--target-tag", "1", "--workers", "4",
                 "--spool-dir", bench.path("spool"), "--quiet"], clear)
    curl = ("curl, the upload alone, four at a time", ["bash", "-c", known + upload + puts + " wait"], clear)
    bench.row(
        f"hub to registry, {sizes}",
        ("kapsule build", build + ["-t", f"{host}/k:1", "hf://acme/m"], clear), modelcar, curl)
    bench.row(
        f"hub to registry, layers as they are, {sizes}",
        ("kapsule build --format modelpack", build + ["--format", "modelpack", "-t", f"{host}/k:1", "hf://acme/m"], clear),
        modelcar, curl)
    bench.row(
        f"hub to directory, {sizes}",
        ("kapsule build --format hf, verified", build + ["--format", "hf", "-o", bench.path("out"), "hf://acme/m"], clear),
        ("hf download, not verified",
         [os.path.join(tools, "hf"), "download", "acme/m", "--local-dir", bench.path("spool"), "--quiet"], clear))
    fetch = "cd " + bench.path("fetched") + " && curl -sS --fail -L --parallel --parallel-max 4 --remote-name-all " + " ".join(
        f"{hub.endpoint}/acme/m/resolve/main/{name}" for name in files.split())
    bench.row(
        f"hub to verity image, {sizes}",
        ("kapsule build --format verity", build + ["--format", "verity", "-o", bench.path("out"), "hf://acme/m"], clear),
        ("curl, the download alone, four at a time", ["bash", "-c", fetch], clear))
    clear()
    hub.stop()
    bench.forget("hub")


def sums(directory, names):
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:
            yield hashlib.file_digest(file, "sha256").hexdigest()


def main():
    # Each with the option that says how much it moves.
    sections = {"main": (main_rows, "size"), "memory": (memory_rows, "layer"), "fan": (fan_rows, "layer"),
                "encryption": (encryption_rows, "encrypted"), "verity": (verity_rows, "image"), "hub": (hub_rows, "hub")}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kapsule")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="MiB of each of the four files")
    parser.add_argument("--layer", type=int, default=4096, help="MiB of the one large layer")
    parser.add_argument("--image", type=int, default=1024, help="MiB of each of the four files of a verity image")
    parser.add_argument("--hub", type=int, default=512, help="MiB of each of the four files of the hub's model")
    parser.add_argument("--encrypted", type=int, default=2048, help="MiB of the layers that are encrypted, in all")
    parser.add_argument("--section", action="append", choices=sections, help="these rows alone; repeatable. Default: all")
    parser.add_argument("--only", help="a regular expression for the titles of rows")
    parser.add_argument("--directory", help="where to work; needs about 30 GiB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapsule-bench-",
                                     dir=arguments.directory and os.path.abspath(arguments.directory)) as directory:
        bench = Bench(arguments, directory)
        try:
            cores = os.cpu_count()
            print(f"{cores} cores, {arguments.runs} runs after one to warm up, medians; warm page cache")
            for name in arguments.section or sections:
                rows, size = sections[name]
                rows(bench, getattr(arguments, size))
        finally:
            bench.registry.stop()


main()
