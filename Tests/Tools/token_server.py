#!/usr/bin/env python3
"""A minimal bearer-token issuer for docker-registry's `token` auth (tests only).

usage: token_server.py PORT KEY.pem CERT.pem [--user USER:PASS] [--expires SECONDS] [--only-access-token] [--no-post]
       [--weak-first]

PORT 0 takes a free one; the first line printed is "listening PORT".

GET  /token?service=S&scope=repository:N:pull,push[&account=U][&offline_token=true]   (Basic, or anonymous: pull only)
POST /token  form grant_type=password|refresh_token ...                              (OAuth2 flavour)
Access tokens are RS256 JWTs with an x5c header; the refresh token is a fixed opaque string.
Every request is printed, credentials replaced by their kind.
"""
import argparse, base64, json, sys, time, urllib.parse, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

ap = argparse.ArgumentParser()
ap.add_argument("port", type=int); ap.add_argument("key"); ap.add_argument("cert")
ap.add_argument("--user", default="alice:wonder"); ap.add_argument("--expires", type=int, default=300)
ap.add_argument("--issuer", default="local-issuer"); ap.add_argument("--only-access-token", action="store_true")
ap.add_argument("--no-post", action="store_true", help="answer POST with 404, as servers without OAuth2 do")
ap.add_argument("--weak-first", action="store_true", help="the first token is for pull only, whatever was asked for")
A = ap.parse_args()
KEY = serialization.load_pem_private_key(open(A.key, "rb").read(), None)
CERT = x509.load_pem_x509_certificate(open(A.cert, "rb").read())
REFRESH = "refresh-" + base64.b64encode(A.user.encode()).decode()
WEAK = A.weak_first
b64u = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def jwt(sub, service, access):
    now = int(time.time())
    hdr = {"typ": "JWT", "alg": "RS256",
           "x5c": [base64.b64encode(CERT.public_bytes(serialization.Encoding.DER)).decode()]}
    body = {"iss": A.issuer, "sub": sub, "aud": service, "iat": now, "nbf": now - 5, "exp": now + A.expires,
            "jti": uuid.uuid4().hex, "access": access}
    s = ".".join(b64u(json.dumps(x, separators=(",", ":")).encode()) for x in (hdr, body))
    return s + "." + b64u(KEY.sign(s.encode(), padding.PKCS1v15(), hashes.SHA256()))


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def answer(self, code, obj):
        b = json.dumps(obj).encode()
        self.send_response(code); self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)

    def issue(self, q, user, refresh):
        acc = []
        for sc in " ".join(q.get("scope", [])).split():
            typ, name, acts = sc.split(":", 2)
            acts = [x for x in acts.split(",") if user or x == "pull"]
            if acts:
                acc.append({"type": typ, "name": name, "actions": acts})
        global WEAK
        if WEAK:
            WEAK, acc = False, [dict(a, actions=[x for x in a["actions"] if x == "pull"]) for a in acc]
        t = jwt(user or "", q.get("service", [""])[0], acc)
        out = {"access_token": t, "expires_in": A.expires,
               "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if not A.only_access_token:
            out["token"] = t
        if refresh:
            out["refresh_token"] = REFRESH
        self.answer(200, out)

    def do_GET(self):
        u = urllib.parse.urlparse(self.path); q = urllib.parse.parse_qs(u.query)
        auth, user = self.headers.get("Authorization", ""), None
        if auth.startswith("Basic "):
            if base64.b64decode(auth[6:]).decode() != A.user:
                print("GET", self.path, "-> 401", flush=True)
                return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "bad credentials"}]})
            user = A.user.split(":")[0]
        print("GET", self.path, "auth=" + (auth.split()[0] if auth else "none"), flush=True)
        self.issue(q, user, q.get("offline_token") == ["true"])

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":  # skopeo posts the form this way
            body = b""
            while (n := int(self.rfile.readline().split(b";")[0], 16)):
                body += self.rfile.read(n); self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        q = urllib.parse.parse_qs(body.decode())
        if A.no_post:
            print("POST", self.path, "-> 404", flush=True)
            return self.answer(404, {})
        shown = {k: (v if k not in ("password", "refresh_token") else "***") for k, v in q.items()}
        print("POST", self.path, self.headers.get("Content-Type"), json.dumps(shown), flush=True)
        ok = (q.get("grant_type") == ["refresh_token"] and q.get("refresh_token") == [REFRESH]) or \
             (q.get("grant_type") == ["password"] and f"{q['username'][0]}:{q['password'][0]}" == A.user)
        if not ok:
            return self.answer(401, {"error": "invalid_grant"})
        self.issue(q, A.user.split(":")[0], q.get("access_type") == ["offline"] or q.get("grant_type") == ["refresh_token"])


server = ThreadingHTTPServer(("127.0.0.1", A.port), H)
print("listening", server.server_port, flush=True)
server.serve_forever()
