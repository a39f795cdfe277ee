"""Writes an OCI layout, tag 1, whose only layer holds one good file and one under a path that kapsule must refuse.

usage: hostile_image.py DIR PATH
"""
import hashlib, io, json, os, sys, tarfile

directory, path = sys.argv[1:]
blobs = os.path.join(directory, "blobs", "sha256")
os.makedirs(blobs)


def put(data, media_type):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, name), "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(data)}


archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    for name in ["models/config.json", path]:
        entry = tarfile.TarInfo(name)
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"{}"))
layer = put(archive.getvalue(), "application/vnd.oci.image.layer.v1.tar")
config = put(
    json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}})
    .encode(), "application/vnd.oci.image.config.v1+json")
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = put(
    json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}).encode(), kind)
manifest["annotations"] = {"org.opencontainers.image.ref.name": "1"}
for name, document in [
    ("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": [manifest]}),
]:
    with open(os.path.join(directory, name), "w") as file:
        json.dump(document, file)
