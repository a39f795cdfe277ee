#!/usr/bin/env python3
"""A stand-in for the transit engine of HashiCorp Vault (tests only), written from its documented HTTP API.

No real Vault can be installed where these tests run, so the stand-in is exercised with the real client `hvac` as well.

usage: vault_server.py PORT [--token T] [--mount PATH] [--namespace NS] [--sealed] [--busy N]

PORT 0 takes a free one; the first line printed is "listening PORT". Every request is printed: method, path, status.
Keys are made by `POST /v1/MOUNT/keys/NAME {"type":…,"exportable":…}`, rotated by `…/rotate`, as in Vault.
"""
import argparse, base64, json, os, time, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ap = argparse.ArgumentParser()
ap.add_argument("port", type=int); ap.add_argument("--token", default="root-token")
ap.add_argument("--mount", default="transit"); ap.add_argument("--namespace", default="")
ap.add_argument("--sealed", action="store_true"); ap.add_argument("--busy", type=int, default=0)
A = ap.parse_args()
KEYS = {}
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class Refused(Exception):
    def __init__(self, status, *errors):
        self.status, self.errors = status, list(errors)


class Key:
    def __init__(self, kind, exportable):
        self.kind, self.exportable, self.versions, self.oldest = kind, exportable, [], 1
        self.rotate()

    def rotate(self):
        if self.kind.startswith("rsa-"):
            self.versions.append(rsa.generate_private_key(65537, int(self.kind[4:])))
        elif self.kind == "aes256-gcm96":
            self.versions.append(os.urandom(32))
        elif self.kind.startswith("ecdsa-"):
            self.versions.append(None)
        else:
            raise Refused(400, "unknown key type " + self.kind)

    @property
    def is_rsa(self):
        return self.kind.startswith("rsa-")

    def public(self, version):
        return self.versions[version - 1].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def private(self, version):
        if not self.is_rsa:
            return base64.b64encode(self.versions[version - 1]).decode()
        return self.versions[version - 1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption()).decode()

    def info(self, name):
        made = int(time.time())
        keys = {str(v): {"name": self.kind, "public_key": self.public(v), "creation_time": "2026-01-01T00:00:00Z"}
                if self.is_rsa else made for v in range(1, len(self.versions) + 1)}
        return {"name": name, "type": self.kind, "latest_version": len(self.versions), "keys": keys,
                "min_decryption_version": self.oldest, "min_encryption_version": 0, "exportable": self.exportable,
                "deletion_allowed": False, "supports_encryption": True, "supports_decryption": True}

    def encrypt(self, body):
        plain = decoded(body.get("plaintext"), "plaintext")
        version = int(body.get("key_version") or 0) or len(self.versions)
        if self.is_rsa:
            if body.get("associated_data"):
                raise Refused(400, "associated_data is only supported for AEAD ciphers")
            sealed = self.versions[version - 1].public_key().encrypt(plain, OAEP)
        elif self.kind == "aes256-gcm96":
            nonce = os.urandom(12)
            data = decoded(body.get("associated_data") or "", "associated_data")
            sealed = nonce + AESGCM(self.versions[version - 1]).encrypt(nonce, plain, data)
        else:
            raise Refused(400, f"message encryption not supported for key type {self.kind}")
        return {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}", "key_version": version}

    def decrypt(self, body):
        parts = str(body.get("ciphertext") or "").split(":")
        if len(parts) != 3 or parts[0] != "vault" or not parts[1].startswith("v"):
            raise Refused(400, "invalid ciphertext: no prefix")
        version = int(parts[1][1:])
        if version < self.oldest:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        if version > len(self.versions):
            raise Refused(400, "invalid ciphertext: version is too new")
        sealed = decoded(parts[2], "ciphertext")
        if self.is_rsa:
            try:
                plain = self.versions[version - 1].decrypt(sealed, OAEP)
            except ValueError:
                raise Refused(500, "1 error occurred:\n\t* failed to RSA decrypt the ciphertext: "
                                   "crypto/rsa: decryption error\n\n")
        else:
            data = decoded(body.get("associated_data") or "", "associated_data")
            try:
                plain = AESGCM(self.versions[version - 1]).decrypt(sealed[:12], sealed[12:], data)
            except InvalidTag:
                raise Refused(400, "cipher: message authentication failed")
        return {"plaintext": base64.b64encode(plain).decode()}


def decoded(text, what):
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Refused(400, f"failed to base64-decode {what}")


def found(name, status=404, *errors):
    if name not in KEYS:
        raise Refused(status, *errors)
    return KEYS[name]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode() if document is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(self.command, self.path, status, flush=True)

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        try:
            data = self.route(json.loads(raw) if raw else {})
            if data is None:
                return self.answer(204, None)
            self.answer(200, {"request_id": str(uuid.uuid4()), "lease_id": "", "renewable": False, "lease_duration": 0,
                              "data": data, "wrap_info": None, "warnings": None, "auth": None})
        except Refused as refused:
            self.answer(refused.status, {"errors": refused.errors})

    do_GET = do_POST = do_PUT = do_LIST = serve

    def route(self, body):
        if A.busy > 0:
            A.busy -= 1
            raise Refused(429, "request path \"transit\": rate limit quota exceeded")
        if A.sealed:
            raise Refused(503, "Vault is sealed")
        authorization = self.headers.get("Authorization") or ""
        bearer = authorization[7:] if authorization.startswith("Bearer ") else None
        if (self.headers.get("X-Vault-Token") or bearer) != A.token:
            raise Refused(403, "permission denied")
        if (self.headers.get("X-Vault-Namespace") or "").strip("/") != A.namespace:
            raise Refused(403, "permission denied")
        prefix = f"/v1/{A.mount}/"
        if not self.path.startswith(prefix):
            raise Refused(404, f"no handler for route \"{self.path[4:]}\". route entry not found.")
        parts = self.path[len(prefix):].split("?")[0].split("/")
        writes = self.command in ("POST", "PUT")
        if parts[0] == "keys" and writes and len(parts) == 2:
            KEYS[parts[1]] = Key(body.get("type") or "aes256-gcm96", bool(body.get("exportable")))
            return KEYS[parts[1]].info(parts[1])
        if parts[0] == "keys" and writes and parts[2:] == ["rotate"]:
            key = found(parts[1])
            key.rotate()
            return key.info(parts[1])
        if parts[0] == "keys" and len(parts) == 2:
            return found(parts[1]).info(parts[1])
        if parts[0] == "export" and len(parts) in (3, 4):
            return self.export(parts)
        if parts[0] in ("encrypt", "decrypt") and writes and len(parts) == 2:
            key = found(parts[1], 400, "encryption key not found")
            return getattr(key, parts[0])(body)
        raise Refused(404)

    def export(self, parts):
        key = found(parts[2])
        versions = range(1, len(key.versions) + 1)
        if len(parts) == 4:
            versions = [len(key.versions) if parts[3] == "latest" else int(parts[3])]
        if parts[1] == "public-key":
            text = key.public
        elif parts[1] == "encryption-key":
            if not key.exportable:
                raise Refused(400, "private key material is not exportable")
            text = key.private
        else:
            raise Refused(400, "invalid export type: " + parts[1])
        return {"name": parts[2], "type": key.kind, "keys": {str(v): text(v) for v in versions}}


server = ThreadingHTTPServer(("127.0.0.1", A.port), Handler)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
