#!/usr/bin/env python3
"""A key provider as ocicrypt runs it (tests only): one JSON object on standard input, one on standard output.

usage: key_provider.py KEYFILE LOG

"Wraps" by XOR with the bytes of KEYFILE. What it was asked is appended to LOG, without the options.
"""
import base64, itertools, json, sys

key = open(sys.argv[1], "rb").read()
request = json.load(sys.stdin)
with open(sys.argv[2], "a") as log:
    shown = json.loads(json.dumps(request))
    shown["keywrapparams"].pop("optsdata", None)
    print(json.dumps(shown), file=log)


def crossed(text):
    return base64.b64encode(bytes(a ^ b for a, b in zip(base64.b64decode(text), itertools.cycle(key)))).decode()


if request["op"] == "keywrap":
    assert "example" in request["keywrapparams"]["ec"]["Parameters"]
    print(json.dumps({"keywrapresults": {"annotation": crossed(request["keywrapparams"]["optsdata"])}}))
elif request["op"] == "keyunwrap":
    assert list(request["keyunwrapparams"]["dc"]["Parameters"]) == ["example"], "only what is ours is sent"
    print(json.dumps({"keyunwrapresults": {"optsdata": crossed(request["keyunwrapparams"]["annotation"])}}))
else:
    sys.exit("unknown operation")
