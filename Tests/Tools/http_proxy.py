#!/usr/bin/env python3
"""An HTTP proxy for tests: whatever host is asked for, the server on one port of this machine answers.

usage: http_proxy.py TARGET_PORT [--user USER:PASSWORD] [--refuse STATUS]

The first line printed is "listening PORT". Then a line for each tunnel and each request that is passed on:
"CONNECT registry.test:443", "PUT http://registry.test:5000/v2/…". --refuse answers all of them with that status.
"""
import argparse, base64, socket, threading

ap = argparse.ArgumentParser()
ap.add_argument("target", type=int)
ap.add_argument("--user")
ap.add_argument("--refuse", type=int)
A = ap.parse_args()


def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_head(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(1)
        if not more:
            return None
        data += more
    return data[:-4].decode("latin-1").split("\r\n")


def length(lines):
    return next((int(l.split(":")[1]) for l in lines if l.lower().startswith("content-length:")), 0)


def forward(client, server, lines):
    """One request, in the form for servers, and its answer, which ends with its connection."""
    method, url, version = lines[0].split(" ")
    path = "/" + url.split("//", 1)[1].split("/", 1)[1]
    kept = [l for l in lines[1:] if not l.lower().startswith(("proxy-", "connection:"))]
    server.sendall("\r\n".join([f"{method} {path} {version}"] + kept + ["Connection: close", "", ""]).encode("latin-1"))
    left = length(lines)
    while left > 0:
        data = client.recv(min(left, 1 << 16))
        if not data:
            return
        server.sendall(data)
        left -= len(data)
    pump(server, client)


def serve(client):
    with client:
        lines = read_head(client)
        if lines is None:
            return
        method, target, _ = lines[0].split(" ")
        print(method, target.split("?")[0], flush=True)
        wanted = A.user and "Basic " + base64.b64encode(A.user.encode()).decode()
        sent = next((l.split(":", 1)[1].strip() for l in lines if l.lower().startswith("proxy-authorization:")), None)
        status = A.refuse or (407 if wanted and sent != wanted else 0)
        if status:
            client.sendall(
                f'HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n'.encode())
            return
        with socket.create_connection(("127.0.0.1", A.target)) as server:
            if method != "CONNECT":
                return forward(client, server, lines)
            client.sendall(b"HTTP/1.1 200 Here it is\r\n\r\n")
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)


listener = socket.create_server(("127.0.0.1", 0))
print("listening", listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
