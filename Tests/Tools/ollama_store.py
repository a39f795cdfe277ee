#!/usr/bin/env python3
"""An Ollama store, written by the rules of its format and by nobody's code but this.

usage: ollama_store.py write STORE HOST/NAMESPACE/MODEL/TAG MODEL.json   puts a model there
       ollama_store.py open STORE HOST/NAMESPACE/MODEL/TAG               what the package gguf reads of its GGUF layers

MODEL.json: {"files": [["model", PATH], ["projector", PATH], …], "template": TEXT, "system": TEXT, "licenses": [TEXT],
"params": {…}, "messages": [[ROLE, TEXT]], "renderer": …, "parser": …, "requires": …}, all but "files" as wanted.
"""
import hashlib
import json
import os
import sys

import gguf

FILE_TYPES = {1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 15: "Q4_K_M", 32: "BF16"}


def line(value):
    """JSON as Go's encoder writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, "\\u%04x" % ord(character))
    return (text + "\n").encode()


def number(value):
    """A float without a fraction is written like an integer."""
    return int(value) if isinstance(value, float) and value == int(value) else value


def count(parameters):
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2)):
        if parameters >= unit:
            return f"{parameters // unit}{letter}" if parameters % unit == 0 else f"{parameters / unit:.{digits}f}{letter}"
    return f"{parameters / 1000:.0f}K" if parameters >= 1000 else str(parameters)


def architecture(reader):
    field = reader.get_field("general.architecture")
    return field.contents() if field else "unknown"


def file_type(reader):
    field = reader.get_field("general.file_type")
    is_known = field is not None and field.types == [gguf.GGUFValueType.UINT32]
    return FILE_TYPES.get(field.contents(), "unknown") if is_known else "unknown"


class Store:
    def __init__(self, path):
        self.path = path
        os.makedirs(f"{path}/blobs", exist_ok=True)

    def blob(self, content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        with open(f"{self.path}/blobs/sha256-{digest}", "wb") as file:
            file.write(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def layer(self, kind, content):
        return self.blob(content, f"application/vnd.ollama.image.{kind}")


def config(model):
    found = {"model_format": "gguf", "model_family": "", "model_families": [], "model_type": "", "file_type": ""}
    for name in ("renderer", "parser", "requires"):
        if model.get(name):
            found[name] = model[name]
    for kind, path in model["files"]:
        if kind == "model":
            reader = gguf.GGUFReader(path)
            found["model_family"] = architecture(reader)
            found["model_families"].append(architecture(reader))
            found["model_type"] = count(sum(int(tensor.n_elements) for tensor in reader.tensors))
            found["file_type"] = file_type(reader)
        if kind == "draft":
            found["draft"] = {"model_format": "gguf", "architecture": architecture(gguf.GGUFReader(path))}
    return found | {"architecture": "amd64", "os": "linux"}


def write(path, name, model):
    store = Store(path)
    layers = [store.layer(kind, open(file, "rb").read()) for kind, file in model["files"]]
    for kind in ("template", "system"):
        if model.get(kind):
            layers.append(store.layer(kind, model[kind].encode()))
    layers += [store.layer("license", text.encode()) for text in model.get("licenses", [])]
    if model.get("params"):
        layers.append(store.layer("params", line({key: number(model["params"][key]) for key in sorted(model["params"])})))
    if model.get("messages"):
        messages = [{"role": role, "content": text} for role, text in model["messages"]]
        layers.append(store.layer("messages", line(messages)))
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": store.blob(line(config(model)), "application/vnd.docker.container.image.v1+json"), "layers": layers,
    }
    place = f"{path}/manifests/{name}"
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(line(manifest))


def opened(path, name):
    manifest = json.load(open(f"{path}/manifests/{name}"))
    for layer in manifest["layers"]:
        kind = layer["mediaType"].rsplit(".", 1)[1]
        if kind in ("model", "projector", "adapter", "draft"):
            reader = gguf.GGUFReader(f"{path}/blobs/{layer['digest'].replace(':', '-')}")
            print(kind, architecture(reader), len(reader.tensors))


if sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3], json.load(open(sys.argv[4])))
else:
    opened(sys.argv[2], sys.argv[3])
