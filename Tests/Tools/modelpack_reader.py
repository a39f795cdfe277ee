"""Reads ModelPacks with the clients that PyPI has of them.

modelpack_reader.py layout LAYOUT          olot: every manifest, and every ModelPack's config by its schema
modelpack_reader.py pull HOST/REPO:TAG DIR oras: the files of an artifact
"""
import json, sys
from pathlib import Path


def check_layout(path):
    from olot.basics import crawl_ocilayout_indexes, crawl_ocilayout_manifests, read_ocilayout_root_index, verify_ocilayout
    from olot.modelpack import const
    from olot.modelpack.model_config import Model

    layout = Path(path)
    verify_ocilayout(layout)
    root = read_ocilayout_root_index(layout)
    indexes = crawl_ocilayout_indexes(layout, root)
    manifests = crawl_ocilayout_manifests(layout, indexes, root)
    known = {value for name, value in vars(const).items() if name.startswith("MEDIATYPEMODEL")}
    found = []
    for manifest in manifests.values():
        if manifest.artifactType != const.ARTIFACTTYPEMODELMANIFEST:
            continue
        assert manifest.config.mediaType == const.MEDIATYPEMODELCONFIG, manifest.config.mediaType
        for layer in manifest.layers:
            assert layer.mediaType in known, layer.mediaType
        config = (layout / "blobs" / "sha256" / manifest.config.digest[7:]).read_text()
        model = Model.model_validate_json(config)
        assert len(model.modelfs.diffIds) == len(manifest.layers)
        found.append(json.loads(config))
    print(json.dumps({"manifests": len(manifests), "modelpacks": found}))


def pull(reference, directory):
    import oras.client

    client = oras.client.OrasClient(insecure=True)
    print("\n".join(client.pull(target=reference, outdir=directory)))


{"layout": check_layout, "pull": pull}[sys.argv[1]](*sys.argv[2:])
