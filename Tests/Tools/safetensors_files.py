#!/usr/bin/env python3
"""safetensors files as the PyPI package safetensors makes and reads them.

usage: safetensors_files.py write FILE    several types and shapes
       safetensors_files.py read FILE     what the package reads, as JSON
       safetensors_files.py judge DIR     for each file of the directory, by name: "NAME ok" or "NAME refused MESSAGE"
"""
import json
import os
import sys

import numpy
import safetensors
import safetensors.numpy


def write(path):
    numbers = numpy.random.default_rng(5)
    tensors = {"embed.weight": numbers.standard_normal((8, 4), dtype=numpy.float32),
               "half": numbers.standard_normal((3, 2, 5)).astype(numpy.float16),
               "scalar": numpy.array(7, dtype=numpy.int64), "none": numpy.zeros((0, 3), dtype=numpy.float64),
               "truth": numpy.array([True, False, True]), "bytes": numpy.arange(5, dtype=numpy.uint8),
               'größe "quoted"\n': numpy.arange(6, dtype=numpy.int16)}
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt", "note": "grüße\n世界"})


def read(path):
    with safetensors.safe_open(path, framework="numpy") as file:
        tensors = []
        for name in file.keys():
            part = file.get_slice(name)
            tensors.append({"name": name, "type": part.get_dtype(), "shape": list(part.get_shape())})
        json.dump({"metadata": file.metadata() or {}, "tensors": tensors}, sys.stdout)


def judge(directory):
    for name in sorted(os.listdir(directory)):
        try:
            with safetensors.safe_open(os.path.join(directory, name), framework="numpy") as file:
                file.keys()
            print(name, "ok")
        except Exception as error:  # noqa: BLE001 the package raises its own, and OSError
            print(name, "refused", str(error).replace("\n", " "))


def main():
    verbs = {"write": write, "read": read, "judge": judge}
    if len(sys.argv) == 3 and sys.argv[1] in verbs:
        verbs[sys.argv[1]](sys.argv[2])
    else:
        sys.exit(__doc__)


main()
