"""Loads a PyTorch checkpoint and prints what is in it: torch_reader.py FILE [--stand-in]

With torch, by torch.load. Without, by a stand-in that knows plain tensors only: it reads the archive as torch does, imports
nothing that the pickle names, and says so in the first line.
"""

import collections
import io
import pickle
import struct
import sys
import zipfile

TYPES = {
    "FloatStorage": ("float32", "f"), "DoubleStorage": ("float64", "d"), "HalfStorage": ("float16", "e"),
    "BFloat16Storage": ("bfloat16", None), "LongStorage": ("int64", "q"), "IntStorage": ("int32", "i"),
    "ByteStorage": ("uint8", "B"),
}
WIDTHS = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "uint8": 1}


class Storage:
    def __init__(self, kind):
        self.dtype, self.form = TYPES[kind]
        self.data = b""

    def numbers(self):
        width = WIDTHS[self.dtype]
        if self.form:
            return struct.unpack(f"<{len(self.data) // width}{self.form}", self.data)
        return [struct.unpack("<f", b"\0\0" + self.data[i:i + 2])[0] for i in range(0, len(self.data), 2)]


class Tensor:
    def __init__(self, storage, offset, size, stride, *_):
        self.storage, self.offset, self.shape, self.stride = storage, offset, tuple(size), stride

    def values(self):
        numbers = self.storage.numbers()
        places = [self.offset]
        for length, step in zip(self.shape, self.stride):
            places = [place + index * step for place in places for index in range(length)]
        return [numbers[place] for place in places]


class Reader(pickle.Unpickler):
    def __init__(self, file, load):
        super().__init__(file)
        self.load_storage = load

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return Tensor
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not for a stand-in")

    def persistent_load(self, pid):
        return self.load_storage(pid)


def read_zip(path):
    with zipfile.ZipFile(path) as file:
        top = file.namelist()[0].split("/")[0]
        assert file.read(f"{top}/version").strip() == b"3"

        def load(pid):
            _, kind, key, _, count = pid
            storage = Storage(kind)
            storage.data = file.read(f"{top}/data/{key}")
            assert len(storage.data) == count * WIDTHS[storage.dtype]
            return storage

        return Reader(io.BytesIO(file.read(f"{top}/data.pkl")), load).load()


def read_legacy(path):
    storages = {}

    def load(pid):
        _, kind, key, _, _, _ = pid
        return storages.setdefault(key, Storage(kind))

    with open(path, "rb") as file:
        magic, version, system = (pickle.load(file) for _ in range(3))
        assert magic == 0x1950A86A20F9469CFC6C and version == 1001 and system["little_endian"]
        state = Reader(file, load).load()
        for key in pickle.load(file):
            count = struct.unpack("<q", file.read(8))[0]
            storages[key].data = file.read(count * WIDTHS[storages[key].dtype])
        assert not file.read()
    return state


def stand_in(path):
    state = read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
    return {name: (tensor.storage.dtype, tensor.shape, tensor.values()) for name, tensor in state.items()}


def by_torch(path):
    import torch

    state = torch.load(path, weights_only=True)
    return {
        name: (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), tensor.flatten().tolist())
        for name, tensor in state.items()
    }


def main():
    path = sys.argv[1]
    try:
        if "--stand-in" in sys.argv:
            raise ImportError
        tensors, reader = by_torch(path), "torch.load"
    except ImportError:
        tensors, reader = stand_in(path), "a stand-in: torch is not installed, so torch.load was not run"
    print(f"read by {reader}")
    for name, (dtype, shape, values) in sorted(tensors.items()):
        print(name, dtype, list(shape), [float(value) for value in values])


if __name__ == "__main__":
    main()
