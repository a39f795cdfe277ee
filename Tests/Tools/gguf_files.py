#!/usr/bin/env python3
"""GGUF files as the PyPI package gguf makes and reads them.

usage: gguf_files.py write DIRECTORY   little.gguf and big.gguf: every value type, several tensor types
       gguf_files.py read FILE         what the package reads, as JSON: keys and tensors in the order of the file
"""
import json
import os
import sys

import gguf
import numpy


def write(path, order):
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    writer.add_uint8("test.uint8", 200)
    writer.add_int8("test.int8", -100)
    writer.add_uint16("test.uint16", 60000)
    writer.add_int16("test.int16", -30000)
    writer.add_uint32("test.uint32", 4000000000)
    writer.add_int32("test.int32", -2000000000)
    writer.add_uint64("test.uint64", 1 << 63)
    writer.add_int64("test.int64", -(1 << 62))
    writer.add_float32("test.float32", 0.15625)
    writer.add_float64("test.float64", 1e300)
    writer.add_bool("test.bool", True)
    writer.add_string("test.string", "grüße 世界")
    writer.add_array("test.numbers", [1, -2, 3])
    writer.add_array("test.floats", [0.5, 0.25])
    writer.add_context_length(8192)
    writer.add_embedding_length(256)
    writer.add_block_count(1)
    writer.add_name("tiny")
    writer.add_license("apache-2.0")
    writer.add_file_type(15)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{n}" for n in range(1000)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template([{"name": "default", "template": "{{ messages }}"},
                              {"name": "tool_use", "template": "{{ tools }}"}])
    numbers = numpy.random.default_rng(7)
    floats = numbers.standard_normal((4, 256), dtype=numpy.float32)
    writer.add_tensor("token_embd.weight", floats)
    writer.add_tensor("output_norm.weight", floats[0].astype(numpy.float16))
    kinds = gguf.GGMLQuantizationType
    for kind in (kinds.Q4_0, kinds.Q8_0, kinds.Q4_K, kinds.Q6_K, kinds.IQ4_XS, kinds.BF16, kinds.TQ1_0, kinds.MXFP4):
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = numbers.integers(0, 255, (2, 3, 256 // elements * size), dtype=numpy.uint8)
        writer.add_tensor(f"blk.0.{kind.name.lower()}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path):
    reader = gguf.GGUFReader(path)
    keys = []
    for name, field in reader.fields.items():
        if name.startswith("GGUF."):
            continue
        kinds = [kind.name for kind in field.types]
        value = len(field.data) if kinds[0] == "ARRAY" else field.contents()
        keys.append({"key": name, "types": kinds, "value": value})
    tensors = [{"name": tensor.name, "type": int(tensor.tensor_type), "dimensions": [int(n) for n in tensor.shape],
                "elements": int(tensor.n_elements), "size": int(tensor.n_bytes), "offset": int(tensor.data_offset)}
               for tensor in reader.tensors]
    json.dump({"alignment": reader.alignment, "data": int(reader.data_offset), "keys": keys, "tensors": tensors},
              sys.stdout)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        write(os.path.join(sys.argv[2], "little.gguf"), gguf.GGUFEndian.LITTLE)
        write(os.path.join(sys.argv[2], "big.gguf"), gguf.GGUFEndian.BIG)
    elif len(sys.argv) == 3 and sys.argv[1] == "read":
        read(sys.argv[2])
    else:
        sys.exit(__doc__)


main()
