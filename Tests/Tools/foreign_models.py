"""Images of models as other tools make them, in OCI layouts: foreign_models.py KIND LAYOUT MODEL-DIRECTORY

Kinds: modctl-tar, modctl-old, docker, docker-packed, kitops, kapsule-2024. Written by the rules that the tools document;
the tools themselves are not needed.
"""
import gzip, hashlib, io, json, os, sys, tarfile

kind, layout, model = sys.argv[1:4]
os.makedirs(f"{layout}/blobs/sha256", exist_ok=True)


def blob(data, media_type, annotations=None):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as out:
        out.write(data)
    descriptor = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
    if annotations:
        descriptor["annotations"] = annotations
    return descriptor


def files():
    for folder, _, names in sorted(os.walk(model)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name != "Modelfile":
                yield os.path.relpath(path, model), open(path, "rb").read(), os.stat(path).st_mode & 0o777


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data, mode in entries:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def publish(config, config_type, layers, **extra):
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", **extra}
    manifest |= {"config": blob(json.dumps(config).encode(), config_type), "layers": layers}
    descriptor = blob(json.dumps(manifest).encode(), manifest["mediaType"])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    open(f"{layout}/index.json", "w").write(json.dumps(index))
    open(f"{layout}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')


def metadata(path, data, mode):
    return json.dumps({"name": os.path.basename(path), "mode": mode, "uid": 0, "gid": 0, "size": len(data),
                       "mtime": "2026-01-02T03:04:05Z", "typeflag": 0})


def modelpack_kind(path):
    if path.endswith((".gguf", ".safetensors", ".bin")):
        return "weight"
    return "code" if path.endswith((".sh", ".py")) else "weight.config"


if kind.startswith("modctl"):
    prefix = "cnai" if kind == "modctl-old" else "cncf"
    layers = []
    for path, data, mode in files():
        if kind == "modctl-tar":
            zipped = modelpack_kind(path) != "weight"
            content = tar([(path, data, mode)])
            content, form = (gzip.compress(content), "tar+gzip") if zipped else (content, "tar")
        else:
            content, form = data, "raw"
        layers.append(blob(content, f"application/vnd.{prefix}.model.{modelpack_kind(path)}.v1.{form}", {
            f"org.{prefix}.model.filepath": path,
            "org.cncf.model.file.metadata+json": metadata(path, data, mode)}))
    config = {"descriptor": {"name": "m"}, "modelfs": {"type": "layers", "diffIds": [l["digest"] for l in layers]},
              "config": {"format": "safetensors"}}
    publish(config, f"application/vnd.{prefix}.model.config.v1+json", layers,
            artifactType=f"application/vnd.{prefix}.model.manifest.v1+json")
elif kind == "docker":
    layers = []
    for path, data, mode in files():
        name = "safetensors" if path.endswith(".safetensors") else "gguf.v3" if path.endswith(".gguf") else "model.file"
        layers.append(blob(data, f"application/vnd.docker.ai.{name}", {"org.cncf.model.filepath": path}))
    config = {"config": {"format": "safetensors"}, "descriptor": {"created": "2026-01-02T03:04:05Z"},
              "rootfs": {"type": "layers", "diff_ids": [l["digest"] for l in layers]}}
    publish(config, "application/vnd.docker.ai.model.config.v0.2+json", layers)
elif kind == "docker-packed":
    # No annotation names a file: the order of layers and their types are all there is.
    parts = [(b"GGUF first", "gguf.v3"), (b"GGUF second", "gguf.v3"), (b"GGUF eyes", "mmproj"),
             (b"{{ messages }}", "chat.template.jinja"), (b"be nice", "license")]
    layers = [blob(data, f"application/vnd.docker.ai.{name}") for data, name in parts]
    layers.append(blob(tar([("config.json", b"{}", 0o644)]), "application/vnd.docker.ai.vllm.config.tar"))
    config = {"config": {"format": "gguf"}, "descriptor": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    publish(config, "application/vnd.docker.ai.model.config.v0.1+json", layers)
elif kind == "kitops":
    weights = [entry for entry in files() if modelpack_kind(entry[0]) == "weight"]
    rest = [entry for entry in files() if modelpack_kind(entry[0]) != "weight"]
    layers = [blob(tar(weights), "application/vnd.kitops.modelkit.model.v1.tar"),
              blob(gzip.compress(tar(rest)), "application/vnd.kitops.modelkit.code.v1.tar+gzip")]
    publish({"manifestVersion": "1.0.0"}, "application/vnd.kitops.modelkit.config.v1+json", layers)
elif kind == "kapsule-2024":
    def layer(name, data):
        return blob(gzip.compress(data, mtime=0), f"application/vnd.kapsule.image.{name}+gzip")
    weights = next(data for path, data, _ in files() if path.endswith((".gguf", ".safetensors")))
    layers = [layer("model", weights), layer("template", b"{{ .Prompt }}"),
              layer("params", json.dumps({"temperature": ["0.7"], "stop": ["a", "b c"]}).encode()),
              layer("licence", b"be nice\n")]
    publish({}, "application/vnd.docker.container.image.v1+json", layers)
else:
    sys.exit(f"unknown kind {kind}")
