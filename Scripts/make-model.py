#!/usr/bin/env python3
"""Makes a small model that real tools read: safetensors weights, config, tokenizer, licence.

usage: make-model.py DIRECTORY [MEBIBYTES]

The same arguments give the same bytes. Needs nothing but Python.
"""
import json
import os
import random
import struct
import sys


def safetensors(path, tensors, seed):
    """Writes `tensors`, a list of (name, rows, columns), as F16 numbers between -1 and 1.

    Source: the safetensors format: length of the header in 8 bytes, header as JSON, data.
    """
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, rows, columns in tensors:
        size = rows * columns * 2
        header[name] = {"dtype": "F16", "shape": [rows, columns], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    numbers = random.Random(seed)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset > 0:
            count = min(offset, 1 << 20)
            # An exponent below that of 1 in every second byte keeps the numbers finite and small.
            block = bytearray(numbers.randbytes(count))
            block[1::2] = bytes(value & 0x3B | value & 0x80 for value in block[1::2])
            file.write(block)
            offset -= count


def main():
    directory = sys.argv[1]
    mebibytes = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    os.makedirs(directory, exist_ok=True)
    rows = mebibytes * 256
    safetensors(os.path.join(directory, "model.safetensors"),
                [("model.embed_tokens.weight", rows, 1024), ("lm_head.weight", rows, 1024)], seed=1)

    def document(name, value):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
            file.write("\n")

    document("config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1024,
                             "vocab_size": rows, "num_hidden_layers": 0, "torch_dtype": "float16"})
    document("tokenizer.json", {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})
    document("generation_config.json", {"do_sample": True, "temperature": 0.7})
    with open(os.path.join(directory, "LICENSE"), "w", encoding="utf-8") as file:
        file.write("These weights are random numbers. Do with them what you like.\n")


main()
