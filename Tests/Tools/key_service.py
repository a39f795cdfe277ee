#!/usr/bin/env python3
"""The key provider of key_provider.py as a gRPC service (tests only).

usage: key_service.py KEYFILE LOG [CERTIFICATE KEY]

Says "listening on PORT" when it does.
"""
import concurrent.futures, os, subprocess, sys
import grpc

program = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "key_provider.py"), *sys.argv[1:3]]


def decode(message):
    """Field 1, bytes: the only one."""
    assert message[0] == 1 << 3 | 2
    length, shift, at = 0, 0, 1
    while True:
        length |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            break
    assert at + length == len(message)
    return message[at:]


def encode(document):
    length, digits = len(document), b""
    while length >= 0x80:
        digits, length = digits + bytes([length & 0x7F | 0x80]), length >> 7
    return bytes([1 << 3 | 2]) + digits + bytes([length]) + document


def answer(document, context):
    result = subprocess.run(program, input=document, capture_output=True)
    if result.returncode != 0:
        context.abort(grpc.StatusCode.INTERNAL, result.stderr.decode().strip().splitlines()[-1])
    return result.stdout


handler = grpc.unary_unary_rpc_method_handler(answer, request_deserializer=decode, response_serializer=encode)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("keyprovider.KeyProviderService", {"WrapKey": handler, "UnWrapKey": handler}),))
if len(sys.argv) > 3:
    certificate, key = (open(path, "rb").read() for path in sys.argv[3:5])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on {port}", flush=True)
server.wait_for_termination()
