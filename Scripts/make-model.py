#!/usr/bin/env python3
"""Makes a small model that real tools read.

usage: make-model.py DIRECTORY [MEBIBYTES]   safetensors weights, config, tokenizer, licence
       make-model.py --adapter DIRECTORY     a LoRA adapter for it, as PEFT writes them
       make-model.py --gguf FILE             a llama of one layer, as llama.cpp and Ollama read them

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


def document(directory, name, value):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def model(directory, mebibytes):
    os.makedirs(directory, exist_ok=True)
    rows = mebibytes * 256
    safetensors(os.path.join(directory, "model.safetensors"),
                [("model.embed_tokens.weight", rows, 1024), ("lm_head.weight", rows, 1024)], seed=1)
    document(directory, "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
                                        "hidden_size": 1024, "vocab_size": rows, "num_hidden_layers": 0,
                                        "torch_dtype": "float16"})
    document(directory, "tokenizer.json", {"version": "1.0",
                                           "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})
    document(directory, "generation_config.json", {"do_sample": True, "temperature": 0.7})
    with open(os.path.join(directory, "LICENSE"), "w", encoding="utf-8") as file:
        file.write("These weights are random numbers. Do with them what you like.\n")


def adapter(directory):
    os.makedirs(directory, exist_ok=True)
    name = "base_model.model.lm_head.lora_"
    safetensors(os.path.join(directory, "adapter_model.safetensors"),
                [(name + "A.weight", 8, 1024), (name + "B.weight", 6144, 8)], seed=2)
    document(directory, "adapter_config.json", {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8,
                                                "lora_alpha": 16, "target_modules": ["lm_head"]})


def gguf(path):
    """Source: the GGUF format, version 3: magic, counts, metadata, tensor table, data aligned to 32 bytes."""
    width, heads, feed, tokens = 64, 4, 128, ["<unk>", "<s>", "</s>"] + [chr(97 + n) for n in range(26)]

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def array(kind, values, pack):
        return struct.pack("<IIQ", 9, kind, len(values)) + b"".join(map(pack, values))

    def number(value):
        return struct.pack("<II", 4, value)

    metadata = [
        ("general.architecture", struct.pack("<I", 8) + text("llama")),
        ("general.name", struct.pack("<I", 8) + text("tiny")),
        ("general.alignment", number(32)),
        ("llama.context_length", number(128)), ("llama.embedding_length", number(width)),
        ("llama.block_count", number(1)), ("llama.feed_forward_length", number(feed)),
        ("llama.attention.head_count", number(heads)), ("llama.attention.head_count_kv", number(heads)),
        ("llama.attention.layer_norm_rms_epsilon", struct.pack("<If", 6, 1e-5)),
        ("llama.rope.dimension_count", number(width // heads)), ("llama.vocab_size", number(len(tokens))),
        ("tokenizer.ggml.model", struct.pack("<I", 8) + text("llama")),
        ("tokenizer.ggml.tokens", array(8, tokens, text)),
        ("tokenizer.ggml.scores", array(6, range(len(tokens)), lambda n: struct.pack("<f", -n))),
        ("tokenizer.ggml.token_type", array(5, [2, 3, 3] + [1] * 26, lambda n: struct.pack("<i", n))),
        ("tokenizer.ggml.bos_token_id", number(1)), ("tokenizer.ggml.eos_token_id", number(2)),
    ]
    block = "blk.0."
    tensors = [("token_embd.weight", (width, len(tokens))), (block + "attn_norm.weight", (width,))]
    tensors += [(f"{block}attn_{part}.weight", (width, width)) for part in ("q", "k", "v", "output")]
    tensors += [(block + "ffn_norm.weight", (width,)), (block + "ffn_gate.weight", (width, feed)),
                (block + "ffn_up.weight", (width, feed)), (block + "ffn_down.weight", (feed, width)),
                ("output_norm.weight", (width,)), ("output.weight", (width, len(tokens)))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value for key, value in metadata)
    numbers, data = random.Random(3), b""
    for name, shape in tensors:
        count = 1
        for length in shape:
            count *= length
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += struct.pack(f"<{count}f", *(numbers.uniform(-0.1, 0.1) for _ in range(count)))
        data += bytes(-len(data) % 32)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--adapter":
        adapter(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "--gguf":
        gguf(sys.argv[2])
    elif len(sys.argv) in (2, 3) and not sys.argv[1].startswith("-"):
        model(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 24)
    else:
        sys.exit(__doc__)


main()
