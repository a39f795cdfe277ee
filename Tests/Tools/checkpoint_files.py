#!/usr/bin/env python3
"""Checkpoints laid out as PyTorch lays them out, and pickles of every protocol; no PyTorch is needed, and none is loaded.

usage: checkpoint_files.py write DIRECTORY   state.zip, script.zip, legacy.bin, evil-*.bin, plain-*.pkl and more
       checkpoint_files.py imports FILE      what loading a pickle asks for, one MODULE.NAME a line; nothing is imported

Source of the layouts: PyTorch torch/serialization.py.
"""
import collections
import io
import os
import pickle
import struct
import sys
import zipfile


class Named:
    """Pickles as a call of `module.name(*arguments)`."""

    def __init__(self, module, name, *arguments):
        self.target = (module, name)
        self.arguments = arguments


class Storage:
    """What a tensor's numbers are in: a persistent id."""

    def __init__(self, key, size):
        self.key, self.size = key, size


class Pickler(pickle._Pickler):  # the one in Python: its writing of globals can be taken over
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", Reference("torch", "FloatStorage"), value.key, "cpu", value.size)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Named):
            self.save(Reference(*value.target))
            self.save(value.arguments)
            self.write(pickle.REDUCE)
            return None
        if isinstance(value, Reference):
            return self.save_reference(value)
        return super().save(value, save_persistent_id)

    def save_reference(self, value):
        if self.proto >= 4:
            self.save(value.module)
            self.save(value.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())


class Reference:
    def __init__(self, module, name):
        self.module, self.name = module, name


def pickled(value, protocol=2):
    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def tensor(key, size):
    return Named("torch._utils", "_rebuild_tensor_v2", Storage(key, size), 0, (size,), (1,), False,
                 Named("collections", "OrderedDict"))


def state():
    return {"embed.weight": tensor("0", 16), "head.weight": tensor("1", 16)}


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, compress_type=compression)


def members(top, value, protocol=2):
    return [(f"{top}/data.pkl", pickled(value, protocol)), (f"{top}/byteorder", b"little"),
            (f"{top}/data/0", bytes(64)), (f"{top}/data/1", bytes(64)), (f"{top}/version", b"3\n")]


def legacy(value):
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [0x1950a86a20f9469cfc6c, 1001, info, value, ["0", "1"]]
    return b"".join(pickled(part) for part in parts) + (struct.pack("<q", 16) + bytes(64)) * 2


def write(directory):
    def put(name, data):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)

    archive(os.path.join(directory, "state.zip"), members("archive", state()))
    archive(os.path.join(directory, "script.zip"),
            members("m", state()) + [("m/constants.pkl", pickled(())), ("m/code/__torch__.py", b"class M: pass\n")])
    archive(os.path.join(directory, "other.zip"), [("a.txt", b"a")])
    archive(os.path.join(directory, "packed.zip"), members("archive", state()), zipfile.ZIP_DEFLATED)
    evil = dict(state(), hook=Named("posix", "system", "true"))
    archive(os.path.join(directory, "evil.zip"), members("archive", evil))
    unusual = dict(state(), hyper=Named("pytorch_lightning.utilities.parsing", "AttributeDict"))
    archive(os.path.join(directory, "unusual.zip"), members("archive", unusual))
    put("legacy.bin", legacy(state()))
    put("evil-legacy.bin", legacy(evil))
    values = {"list": [1, -1, 1 << 70, 2.5, None, True, False, b"bytes", "text" * 100, "grüße", {1, 2}, frozenset("ab"),
                       (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "dict": collections.OrderedDict(a=1),
              "call": Named("subprocess", "Popen", "true"), "nested": [[Named("builtins", "eval", "1")]],
              "again": [Reference("os.path", "join"), Reference("os.path", "join")]}
    for protocol in range(6):
        put(f"plain-{protocol}.pkl", pickled(values, protocol))
    put("instance.pkl", b"\x80\x02(S'true'\nios\nsystem\n.")
    put("object.pkl", b"\x80\x02(cos\nsystem\nS'true'\no.")
    put("hidden.pkl", b"\x80\x04\x8c\x02os\x8c\x06system\x86\x30\x8c\x02os\x94\x30\x68\x00\x8c\x06system\x93.")
    put("computed.pkl", b"\x80\x04cbuiltins\nstr\n)R\x8c\x06system\x93.")
    put("extension.pkl", b"\x80\x02\x82\x01.")


def imports(path):
    asked = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            asked.append(f"{module}.{name}")
            return lambda *arguments, **options: Anything()

        def persistent_load(self, _):
            return Anything()

    class Anything(dict):
        def __setstate__(self, _):
            pass

        def append(self, _):
            pass

    with open(path, "rb") as file:
        Unpickler(file, fix_imports=False, encoding="latin1").load()
    for name in dict.fromkeys(asked):
        print(name)


def main():
    verbs = {"write": write, "imports": imports}
    if len(sys.argv) == 3 and sys.argv[1] in verbs:
        verbs[sys.argv[1]](sys.argv[2])
    else:
        sys.exit(__doc__)


main()
