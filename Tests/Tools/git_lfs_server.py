#!/usr/bin/env python3
"""Serves git repositories over HTTP, with Git LFS: git_lfs_server.py ROOT [--port N] [--login USER:PASSWORD] ...

ROOT/NAME.git is a bare repository, whose LFS objects are in ROOT/NAME.git/lfs/objects. git itself answers for the
repositories (git-http-backend(1)); the LFS half is written from git-lfs docs/api/batch.md, and serves objects under
addresses that expire. What it has heard can be read at /__log, a line a request.

Prints 'listening on PORT' when it is ready.
"""
import argparse
import base64
import hmac
import json
import os
import re
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MEDIA = "application/vnd.git-lfs+json"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    # --- answers

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def lfs(self, status, value):
        extra = [("LFS-Authenticate", 'Basic realm="lfs"')] if status == 401 else []
        self.reply(status, json.dumps(value).encode(), [("Content-Type", MEDIA)] + extra)

    def is_authorised(self):
        login = self.server.options.login
        if not login:
            return True
        given = self.headers.get("Authorization", "")
        return hmac.compare_digest(given, "Basic " + base64.b64encode(login.encode()).decode())

    # --- requests

    def do_GET(self):
        self.handle_request(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.handle_request(body)

    def handle_request(self, body):
        path, _, query = self.path.partition("?")
        if path == "/__log":
            return self.reply(200, "".join(line + "\n" for line in self.server.log).encode())
        authorised = "yes" if self.headers.get("Authorization") else "no"
        self.server.log.append(
            f"{self.command} {path} range={self.headers.get('Range', '-')} authorization={authorised} {body[:400]!r}"
            if path.endswith("/objects/batch") else
            f"{self.command} {path} range={self.headers.get('Range', '-')} authorization={authorised}")
        if match := re.fullmatch(r"/__object/(\d+)/([0-9a-z-]+)/(.+\.git)/([0-9a-f]{64})", path):
            return self.send_object(*match.groups())
        if not self.is_authorised():
            if "/info/lfs/" in path:
                return self.lfs(401, {"message": "credentials needed"})
            return self.reply(401, b"", [("WWW-Authenticate", 'Basic realm="git"')])
        if match := re.fullmatch(r"/(.+\.git)/info/lfs/objects/batch", path):
            return self.batch(match.group(1), json.loads(body))
        self.git(path, query, body)

    def git(self, path, query, body):
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": os.path.abspath(self.server.options.root),
            "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "127.0.0.1", "REMOTE_USER": "tester",
        }
        made = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, content = made.stdout.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        self.reply(status, content, headers)

    # --- LFS

    def object_path(self, repository, oid):
        return os.path.join(self.server.options.root, repository, "lfs/objects", oid[:2], oid[2:4], oid)

    def batch(self, repository, wanted):
        options = self.server.options
        if options.lfs_status:
            return self.lfs(options.lfs_status, {"message": "told to refuse"})
        if self.headers.get("Accept", "").split(";")[0] != MEDIA or wanted.get("operation") != "download":
            return self.lfs(422, {"message": "only downloads, and only of " + MEDIA})
        objects = []
        for entry in wanted["objects"]:
            oid, size = entry["oid"], entry["size"]
            path = self.object_path(repository, oid)
            if oid.startswith(options.missing or "-") or not os.path.exists(path):
                objects.append({"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}})
                continue
            expires = int(time.time() * 1000) + options.expires * 1000
            href = f"{options.base}/__object/{expires}/{self.server.secret}/{repository}/{oid}"
            action = {"href": href, "header": {"X-Proof": self.server.secret}}
            if options.expires < 3600:
                action["expires_in"] = options.expires
            objects.append({"oid": oid, "size": size, "authenticated": True, "actions": {"download": action}})
        self.lfs(200, {"transfer": "basic", "objects": objects})

    def send_object(self, expires, secret, repository, oid):
        options = self.server.options
        if self.headers.get("Authorization"):
            return self.reply(400, b"a signed address takes no login")
        if self.headers.get("X-Proof") != self.server.secret or secret != self.server.secret:
            return self.reply(403, b"header or signature missing")
        with self.server.lock:
            self.server.sent += 1
            refuse = self.server.sent <= options.refuse
        if refuse or int(expires) < time.time() * 1000:
            return self.reply(403, b"expired")
        with open(self.object_path(repository, oid), "rb") as file:
            content = bytearray(file.read())
        if options.corrupt:
            content[len(content) // 2] ^= 1
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not match:
            return self.reply(200, bytes(content))
        first, last = int(match.group(1)), min(int(match.group(2)), len(content) - 1)
        self.reply(206, bytes(content[first:last + 1]), [("Content-Range", f"bytes {first}-{last}/{len(content)}")])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", help="USER:PASSWORD that everything wants but the objects")
    parser.add_argument("--corrupt", action="store_true", help="flip a bit in the middle of each object")
    parser.add_argument("--missing", help="do not have objects whose names begin so")
    parser.add_argument("--refuse", type=int, default=0, help="answer 403 to the first N requests for objects")
    parser.add_argument("--expires", type=int, default=3600, help="seconds that an address is good")
    parser.add_argument("--lfs-status", type=int, default=0, help="answer this status to the batch API")
    parser.add_argument("--certificate", help="PEM file: speak TLS, with the key of --key")
    parser.add_argument("--key")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.options, server.log, server.sent, server.lock = options, [], 0, threading.Lock()
    server.secret = "signed-" + os.urandom(8).hex()
    options.base = f"http{'s' if options.certificate else ''}://127.0.0.1:{server.server_address[1]}"
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        # A handshake that fails is the business of its own thread.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {server.server_address[1]}", flush=True)
    server.serve_forever()


main()
