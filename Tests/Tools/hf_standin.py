#!/usr/bin/env python3
"""A Hugging Face Hub stand-in for tests and measurements.

Python standard library only.  It serves a folder of model repositories the
way the Hub does, as far as a downloading client can tell, on two loopback
ports: the Hub itself, and a "CDN" that large files are redirected to.

    hf_standin.py gen   ROOT/org/name --shards 4 --shard-mib 512
    hf_standin.py index ROOT
    hf_standin.py serve ROOT --port 8800

See hf_standin.md beside this file.
"""

import argparse
import base64
import collections
import email.utils
import fnmatch
import gzip
import hashlib
import hmac
import http.server
import json
import mimetypes
import os
import random
import re
import signal
import socket
import socketserver
import stat
import struct
import sys
import threading
import time
import urllib.parse
import uuid

FIXED_DATE = "2025-01-01T00:00:00.000Z"
FIXED_EPOCH = 1735689600
MULTI = "datasets|spaces|models"

# The patterns that a new Hub repository's .gitattributes marks as LFS.
DEFAULT_LFS = """*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gguf *.gz *.h5 *.joblib *.lfs.* *.mlmodel
*.model *.msgpack *.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors
saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*""".split()

TEXT_EXT = {".json", ".txt", ".md", ".jinja", ".py", ".yaml", ".yml", ".toml", ".cfg", ""}


# ---------------------------------------------------------------- the repos


def git_oid(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


def lfs_pointer(sha256, size):
    return ("version https://git-lfs.github.com/spec/v1\n"
            "oid sha256:%s\nsize %d\n" % (sha256, size)).encode()


class Entry:
    """One file of one revision."""
    __slots__ = ("path", "disk", "size", "oid", "sha256", "pointer", "xet")

    @property
    def lfs(self):
        return self.sha256 is not None


class HashCache:
    """sha256 and git-sha1 of files, keyed by path, size and mtime."""

    def __init__(self, path):
        self.path, self.lock, self.dirty = path, threading.Lock(), False
        try:
            with open(path) as f:
                self.data = json.load(f)
        except (OSError, ValueError):
            self.data = {}

    def get(self, disk, st, kind):
        key = "%s:%s:%d:%d" % (kind, disk, st.st_size, st.st_mtime_ns)
        with self.lock:
            if key in self.data:
                return self.data[key]
        h = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % st.st_size)
        with open(disk, "rb", buffering=0) as f:
            buf = bytearray(4 << 20)
            view = memoryview(buf)
            while n := f.readinto(buf):
                h.update(view[:n])
        with self.lock:
            self.data[key] = h.hexdigest()
            self.dirty = True
            return self.data[key]

    def save(self):
        with self.lock:
            if not self.dirty:
                return
            self.dirty = False
            tmp = self.path + ".tmp"
            try:
                with open(tmp, "w") as f:
                    json.dump(self.data, f)
                os.replace(tmp, self.path)
            except OSError as e:
                print("standin: could not save %s: %s" % (self.path, e), file=sys.stderr)


def lfs_rules(root):
    """(pattern, is_lfs) from .gitattributes; None where there is none."""
    try:
        with open(os.path.join(root, ".gitattributes")) as f:
            lines = f.read().splitlines()
    except OSError:
        return None
    rules = []
    for line in lines:
        parts = line.split()
        if len(parts) > 1 and not parts[0].startswith("#"):
            for attr in parts[1:]:
                if attr == "filter=lfs":
                    rules.append((parts[0], True))
                elif attr in ("-filter", "!filter"):
                    rules.append((parts[0], False))
    return rules


def matches(pattern, path):
    if "/" in pattern:
        return fnmatch.fnmatchcase(path, pattern.lstrip("/").replace("**/", "*"))
    return fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], pattern)


class Revision:
    def __init__(self, repo, name, folder, cache, lfs_threshold):
        self.repo, self.name, self.folder = repo, name, folder
        self.files, self.dirs = {}, {}
        rules = lfs_rules(folder)
        for base, dirnames, names in os.walk(folder):
            dirnames[:] = sorted(d for d in dirnames if d not in (".git", ".cache"))
            for name_ in sorted(names):
                disk = os.path.join(base, name_)
                st = os.stat(disk)
                if not stat.S_ISREG(st.st_mode):
                    continue
                e = Entry()
                e.path = os.path.relpath(disk, folder).replace(os.sep, "/")
                e.disk, e.size = disk, st.st_size
                if rules is None:
                    lfs = any(matches(p, e.path) for p in DEFAULT_LFS)
                else:
                    lfs = False
                    for p, yes in rules:
                        if matches(p, e.path):
                            lfs = yes
                lfs = lfs or st.st_size >= lfs_threshold
                e.sha256 = e.pointer = e.xet = None
                if lfs:
                    e.sha256 = cache.get(disk, st, "sha256")
                    e.pointer = lfs_pointer(e.sha256, e.size)
                    e.oid = git_oid("blob", e.pointer)
                    e.xet = hashlib.sha256(b"xet" + bytes.fromhex(e.sha256)).hexdigest()
                else:
                    e.oid = cache.get(disk, st, "sha1")
                self.files[e.path] = e
        tree = self._tree("", sorted(self.files))
        commit = ("tree %s\nauthor standin <standin@localhost> %d +0000\n"
                  "committer standin <standin@localhost> %d +0000\n\n%s\n"
                  % (tree, FIXED_EPOCH, FIXED_EPOCH, repo)).encode()
        self.sha = git_oid("commit", commit)

    def _tree(self, prefix, paths):
        """The git tree object id, bottom up; fills self.dirs."""
        items, subs = [], collections.OrderedDict()
        for p in paths:
            rest = p[len(prefix):]
            if "/" in rest:
                subs.setdefault(rest.split("/", 1)[0], []).append(p)
            else:
                items.append((rest.encode(), b"100644", self.files[p].oid))
        for name, inner in subs.items():
            oid = self._tree(prefix + name + "/", inner)
            self.dirs[prefix + name] = oid
            items.append((name.encode() + b"/", b"40000", oid))
        body = b"".join(m + b" " + n.rstrip(b"/") + b"\0" + bytes.fromhex(o) for n, m, o in sorted(items))
        return git_oid("tree", body)


class Repos:
    """ROOT/org/name is `main`; ROOT/org/name@REV (percent-encoded) is REV."""

    def __init__(self, root, lfs_threshold):
        self.root, self.lfs_threshold = os.path.abspath(root), lfs_threshold
        self.cache = HashCache(os.path.join(self.root, ".hf_standin_index.json"))
        self.lock, self.loaded = threading.Lock(), {}

    def names(self):
        out = []
        for org in sorted(os.listdir(self.root)):
            d = os.path.join(self.root, org)
            if os.path.isdir(d) and not org.startswith("."):
                out += ["%s/%s" % (org, n) for n in sorted(os.listdir(d))
                        if "@" not in n and not n.startswith(".") and os.path.isdir(os.path.join(d, n))]
        return out

    def revisions(self, repo):
        """{name: Revision}, or None where there is no such repository."""
        if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", repo) or ".." in repo:
            return None
        with self.lock:
            if repo in self.loaded:
                return self.loaded[repo]
            org, name = repo.split("/")
            d = os.path.join(self.root, org)
            if not os.path.isdir(os.path.join(d, name)):
                return None
            revs = {"main": Revision(repo, "main", os.path.join(d, name), self.cache, self.lfs_threshold)}
            for n in sorted(os.listdir(d)):
                if n.startswith(name + "@"):
                    rev = urllib.parse.unquote(n[len(name) + 1:])
                    revs[rev] = Revision(repo, rev, os.path.join(d, n), self.cache, self.lfs_threshold)
            self.loaded[repo] = revs
        self.cache.save()
        return revs

    def find(self, repo, rev):
        revs = self.revisions(repo)
        if rev in revs:
            return revs[rev]
        for full in ("refs/heads/", "refs/tags/"):
            if rev.startswith(full) and rev[len(full):] in revs:
                return revs[rev[len(full):]]
        if re.fullmatch(r"[0-9a-f]{7,40}", rev):
            hits = {r.sha: r for r in revs.values() if r.sha.startswith(rev)}
            if len(hits) == 1:
                return next(iter(hits.values()))
        return None


# ---------------------------------------------------------------- faults


class Fault:
    """One fault rule: which requests it catches, how often, and what it does."""

    KEYS = {"match", "on", "method", "times", "skip", "status", "retry_after", "ratelimit", "code", "message",
            "drop_after", "drop", "corrupt_at", "corrupt_times", "content_length", "rate", "delay", "stall_after",
            "stall", "ignore_range", "chunked", "reset", "short", "etag", "no_header", "location"}

    def __init__(self, spec):
        if isinstance(spec, str):
            spec = dict(p.split("=", 1) if "=" in p else (p, "1") for p in spec.split(",") if p)
        bad = set(spec) - self.KEYS
        if bad:
            raise ValueError("unknown fault key %s; known: %s" % (sorted(bad), sorted(self.KEYS)))
        self.spec = dict(spec)
        self.match = str(spec.get("match", "*"))
        self.on = str(spec.get("on", "any"))
        self.method = str(spec.get("method", "")).upper()
        self.times, self.skip = int(spec.get("times", 0)), int(spec.get("skip", 0))
        self.hits = 0

    def num(self, key, default=None):
        v = self.spec.get(key)
        return default if v is None else int(float(v))

    def catches(self, on, method, path):
        if self.on not in ("any", on) or (self.method and self.method != method):
            return False
        if not (fnmatch.fnmatchcase(path, self.match) or fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], self.match)):
            return False
        self.hits += 1
        n = self.hits - self.skip
        return n > 0 and (self.times == 0 or n <= self.times)


# ---------------------------------------------------------------- the server


class State:
    def __init__(self, args):
        self.args = args
        self.repos = Repos(args.root, args.lfs_threshold)
        self.tokens = set(args.token or [])
        self.grants = set(args.grant or [])  # tokens that may read gated and private repositories
        self.private, self.gated = set(args.private or []), set(args.gated or [])
        self.renames = dict(r.split("=", 1) for r in args.rename or [])
        self.key = hashlib.sha256(b"standin" + (args.seed or "").encode()).digest()
        self.lock = threading.Lock()
        self.faults = [Fault(f) for f in args.fault or []]
        self.log = collections.deque(maxlen=20000)
        self.logfile = open(args.log, "a", buffering=1) if args.log else None
        self.bytes, self.requests, self.connections = 0, 0, 0
        self.by_oid = {}

    def fault(self, on, method, path):
        with self.lock:
            for f in self.faults:
                if f.catches(on, method, path):
                    return f
        return None

    def sign(self, what, expires):
        return hmac.new(self.key, ("%s %d" % (what, expires)).encode(), "sha256").hexdigest()

    def record(self, rec):
        with self.lock:
            self.requests += 1
            self.bytes += rec["sent"]
            self.log.append(rec)
        if self.logfile:
            self.logfile.write(json.dumps(rec) + "\n")
        if self.args.verbose:
            print("%(server)s %(method)s %(path)s -> %(status)s %(sent)d B auth=%(auth)s range=%(range)s"
                  "%(fault)s" % dict(rec, fault=" FAULT " + str(rec["fault"]) if rec["fault"] else ""),
                  file=sys.stderr, flush=True)


class Dropped(Exception):
    """The connection was cut on purpose."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "standin", ""
    disable_nagle_algorithm = True
    wbufsize = 0
    state = None
    role = "hub"

    # --- plumbing

    def setup(self):
        super().setup()
        with self.state.lock:
            self.state.connections += 1

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError, Dropped):
            self.close_connection = True

    def do_GET(self):
        self.serve()

    def do_HEAD(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def do_PUT(self):
        self.serve()

    def do_DELETE(self):
        self.serve()

    def serve(self):
        self.sent, self.status, self.fault_now, self.replied = 0, 0, None, False
        url = urllib.parse.urlsplit(self.path)
        self.prefix = self.state.args.prefix if self.role == "hub" else ""
        self.raw_path = url.path
        if self.prefix and url.path.startswith(self.prefix + "/"):
            self.raw_path = url.path[len(self.prefix):]
        elif self.prefix and not url.path.startswith("/__standin__/"):
            self.raw_path = "/outside-the-prefix"
        self.url_path = urllib.parse.unquote(self.raw_path)
        self.query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        start = time.time()
        try:
            if self.url_path.startswith("/__standin__/"):
                return self.control(self.url_path[len("/__standin__/"):])
            kind = self.role
            if kind == "hub" and self.url_path.startswith("/api/") and not self.url_path.startswith("/api/resolve-cache/"):
                kind = "api"
            f = self.state.fault(kind, self.command, self.fault_path())
            self.fault_now = f
            if f is not None:
                if f.num("delay"):
                    time.sleep(float(f.spec["delay"]))
                if f.spec.get("reset"):
                    self.cut("rst")
                if f.num("status"):
                    return self.faulty_status(f)
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            if not self.url_path.startswith("/__standin__/"):
                auth = self.headers.get("Authorization")
                self.state.record({
                    "t": round(start, 3), "s": round(time.time() - start, 3), "server": self.role,
                    "method": self.command, "path": self.raw_path, "query": url.query, "status": self.status,
                    "sent": self.sent, "range": self.headers.get("Range"), "auth": bool(auth),
                    "ua": self.headers.get("User-Agent"), "port": self.client_address[1],
                    "fault": self.fault_now.spec if self.fault_now else None})

    def fault_path(self):
        """What fault patterns see: the path in the repository where there is one."""
        if self.role == "cdn":
            e = self.state.by_oid.get(self.url_path.rsplit("/", 1)[-1])
            return e.path if e else self.url_path
        m = re.match(r"^/(?:api/resolve-cache/models/[^/]+/[^/]+/[^/]+|[^/]+/[^/]+/(?:resolve|raw)/[^/]+)/(.+)$", self.url_path)
        return m.group(1) if m else self.url_path

    def cut(self, how):
        if how == "rst":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.close_connection = True
        raise Dropped()

    def reply(self, status, headers, body=b"", file=None):
        """Headers and a small body."""
        self.status, self.replied = status, True
        f = self.fault_now
        drop = {h.strip().lower() for h in str(f.spec.get("no_header", "")).split("+")} if f else set()
        self.send_response_only(status)
        self.send_header("Date", email.utils.formatdate(usegmt=True))
        for k, v in headers:
            if k.lower() not in drop:
                self.send_header(k, v)
        if body is not None and not any(k.lower() in ("content-length", "transfer-encoding") for k, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.connection.sendall(body)
            self.sent += len(body)

    def common(self):
        rid = "Root=1-%08x-%024x;%s" % (int(time.time()), random.getrandbits(96), uuid.uuid4())
        bucket = "resolvers" if "/resolve" in self.url_path else "api"
        quota = {"resolvers": 3000, "api": 500}[bucket]
        return [("X-Powered-By", "huggingface-moon"), ("X-Request-Id", rid),
                ("RateLimit", '"%s";r=%d;t=%d' % (bucket, quota - 1, 300 - int(time.time()) % 300)),
                ("RateLimit-Policy", '"fixed window";"%s";q=%d;w=300' % (bucket, quota)),
                ("Access-Control-Expose-Headers", "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,"
                 "X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash"),
                ("Vary", "Origin, Accept")]

    def error(self, status, code, message, extra=()):
        body = json.dumps({"error": message}).encode()
        if not self.url_path.startswith("/api/"):
            body = message.encode()
        h = self.common() + [("Content-Type", "application/json; charset=utf-8" if body[:1] == b"{" else "text/plain; charset=utf-8")]
        if code:
            h.append(("X-Error-Code", code))
        h.append(("X-Error-Message", message))
        self.reply(status, h + list(extra), body)

    def json(self, value, headers=()):
        self.reply(200, self.common() + [("Content-Type", "application/json; charset=utf-8")] + list(headers),
                   json.dumps(value).encode())

    def faulty_status(self, f):
        status, extra = f.num("status"), []
        if "retry_after" in f.spec:
            extra.append(("Retry-After", str(f.spec["retry_after"])))
        if f.spec.get("ratelimit"):
            extra.append(("RateLimit", '"resolvers";r=0;t=%s' % f.spec["ratelimit"]))
        if self.role == "cdn":
            body = b"<?xml version=\"1.0\"?><Error><Code>Injected</Code></Error>"
            return self.reply(status, [("Content-Type", "application/xml")] + extra, body)
        h = [(k, v) for k, v in self.common() if not (k == "RateLimit" and f.spec.get("ratelimit"))]
        body = json.dumps({"error": f.spec.get("message", "injected %d" % status)}).encode()
        if "code" in f.spec:
            h.append(("X-Error-Code", f.spec["code"]))
        h.append(("X-Error-Message", str(f.spec.get("message", "injected %d" % status))))
        self.reply(status, h + extra + [("Content-Type", "application/json")], body)

    # --- control

    def control(self, what):
        s = self.state
        if what == "faults" and self.command in ("PUT", "POST"):
            try:
                specs = json.loads(self.body or b"[]")
                new = [Fault(x) for x in (specs if isinstance(specs, list) else [specs])]
            except ValueError as e:
                return self.reply(400, [("Content-Type", "text/plain")], str(e).encode())
            with s.lock:
                s.faults = new if self.command == "PUT" else s.faults + new
            return self.json([f.spec for f in s.faults])
        if what == "faults" and self.command == "DELETE":
            with s.lock:
                s.faults = []
            return self.json([])
        if what == "faults":
            return self.json([dict(f.spec, hits=f.hits) for f in s.faults])
        if what == "log" and self.command == "DELETE":
            with s.lock:
                s.log.clear()
                s.bytes = s.requests = s.connections = 0
            return self.json([])
        if what == "log":
            with s.lock:
                rows = list(s.log)
            return self.json(rows)
        if what == "stats":
            with s.lock:
                return self.json({"requests": s.requests, "bytes": s.bytes, "connections": s.connections})
        if what == "reload":
            with s.repos.lock:
                s.repos.loaded.clear()
            return self.json(True)
        self.reply(404, [], b"")

    # --- Hub

    def route(self):
        if self.role == "cdn":
            return self.cdn()
        p = self.url_path
        token = self.token()
        parts = p.strip("/").split("/")
        if token is False and parts[2:3] == ["resolve"] and "/".join(parts[:2]) in self.state.gated:
            token = None  # the Hub answers GatedRepo here, whatever is wrong with the token
        if token is False:
            return self.error(401, None, "Invalid credentials in Authorization header",
                              [("WWW-Authenticate", "Bearer")])
        self.who = token
        if self.state.args.require_token and not token:
            return self.error(401, "RepoNotFound", "Invalid username or password.")
        # the revision is one percent-encoded segment (refs%2Fpr%2F1), so split the raw path
        raw = self.raw_path.strip("/").split("/")
        un = [urllib.parse.unquote(x) for x in raw]
        if raw[:2] == ["api", "whoami-v2"]:
            if not token:
                return self.error(401, None, "Invalid username or password.")
            return self.json({"type": "user", "name": "standin", "auth": {"type": "access_token"}, "orgs": []})
        if raw[:2] == ["api", "resolve-cache"] and len(raw) >= 7:
            return self.resolve_cache("/".join(un[3:5]), un[5], "/".join(un[6:]))
        if raw[:2] == ["api", "models"]:
            if len(raw) == 2:
                return self.json([self.info(n, self.state.repos.find(n, "main"), {}) for n in self.state.repos.names()])
            if len(raw) >= 4:
                return self.api("/".join(un[2:4]), un[4:])
            if len(raw) == 3:
                return self.missing()
        if len(raw) >= 5 and raw[2] in ("resolve", "raw"):
            return self.resolve("/".join(un[:2]), un[3], "/".join(un[4:]), raw[2] == "raw")
        self.error(404, None, "Sorry, we can't find the page you are looking for.")

    def token(self):
        """None without one, False for a bad one, else the token."""
        auth = self.headers.get("Authorization")
        if not auth:
            return None
        t = auth[7:].strip() if auth.lower().startswith("bearer ") else ""
        s = self.state
        if t in s.tokens or t in s.grants:
            return t
        return False if (s.tokens or s.grants) else (t or False)

    def missing(self):
        if self.who:
            return self.error(404, "RepoNotFound", "Repository not found")
        self.error(401, "RepoNotFound", "Invalid username or password.")

    def locate(self, repo, rev):
        """The Revision, or None after having replied."""
        s = self.state
        if repo in s.renames:
            new = s.renames[repo]
            q = urllib.parse.urlsplit(self.path)
            loc = q.path.replace("/" + repo, "/" + new, 1) + ("?" + q.query if q.query else "")
            self.reply(307, self.common() + [("Location", loc), ("Content-Type", "text/plain; charset=utf-8")],
                       ("Temporary Redirect. Redirecting to " + loc).encode())
            return None
        if s.repos.revisions(repo) is None or (repo in s.private and self.who not in s.grants):
            self.missing()
            return None
        r = s.repos.find(repo, rev)
        if r is None:
            self.error(404, "RevisionNotFound", "Invalid rev id: " + rev)
            return None
        return r

    def gate(self, repo):
        s = self.state
        if repo not in s.gated or (self.who and self.who in s.grants):
            return False
        if not self.who:
            self.error(401, "GatedRepo", "Access to model %s is restricted. You must have access to it and be "
                       "authenticated to access it. Please log in." % repo)
        else:
            self.error(403, "GatedRepo", "Access to model %s is restricted and you are not in the authorized list. "
                       "Visit %s/%s to ask for access." % (repo, self.base(), repo))
        return True

    def base(self):
        return "http://" + (self.headers.get("Host") or "127.0.0.1:%d" % self.state.args.port) + self.prefix

    def info(self, repo, r, q):
        s = self.state
        out = {"_id": hashlib.sha1(repo.encode()).hexdigest()[:24], "id": repo, "modelId": repo,
               "author": repo.split("/")[0], "sha": r.sha, "lastModified": FIXED_DATE, "createdAt": FIXED_DATE,
               "private": repo in s.private, "disabled": False, "gated": "auto" if repo in s.gated else False,
               "downloads": 0, "likes": 0, "tags": ["safetensors", "region:us"], "pipeline_tag": "text-generation",
               "library_name": "transformers", "usedStorage": sum(e.size for e in r.files.values())}
        card = r.files.get("README.md")
        licence = re.match(rb"---\n(?:.*\n)*?license: (\S+)\n(?:.*\n)*?---\n", open(card.disk, "rb").read(65536)) if card else None
        if licence:
            out["cardData"] = {"license": licence[1].decode()}
        full = q.get("blobs", [""])[0].lower() in ("1", "true")
        out["siblings"] = []
        for e in sorted(r.files.values(), key=lambda e: e.path):
            sib = {"rfilename": e.path}
            if full:
                sib.update(blobId=e.oid, size=e.size)
                if e.lfs:
                    sib["lfs"] = {"sha256": e.sha256, "size": e.size, "pointerSize": len(e.pointer)}
            out["siblings"].append(sib)
        want = q.get("expand", []) + q.get("expand[]", [])
        if want:
            out = {k: v for k, v in out.items() if k in set(want) | {"_id", "id"}}
        return out

    def api(self, repo, rest):
        rev = "main"
        if rest[:1] in (["revision"], ["tree"], ["paths-info"], ["xet-read-token"]) and len(rest) > 1:
            rev = rest[1]
        r = self.locate(repo, rev)
        if r is None:
            return
        if not rest or (rest[0] == "revision" and len(rest) == 2):
            return self.json(self.info(repo, r, self.query))
        if rest == ["refs"]:
            revs = self.state.repos.revisions(repo)
            row = [{"name": n, "ref": n if n.startswith("refs/") else "refs/heads/" + n, "targetCommit": x.sha}
                   for n, x in sorted(revs.items())]
            out = {"branches": [x for x in row if not x["ref"].startswith("refs/pr/")], "converts": [], "tags": []}
            if self.query.get("include_prs"):
                out["pullRequests"] = [x for x in row if x["ref"].startswith("refs/pr/")]
            return self.json(out)
        if rest[0] == "tree":
            return self.tree(repo, r, "/".join(rest[2:]).strip("/"))
        if rest[0] == "paths-info" and self.command == "POST":
            try:
                if "json" in (self.headers.get("Content-Type") or ""):
                    paths = json.loads(self.body)["paths"]
                else:
                    paths = urllib.parse.parse_qs(self.body.decode())["paths"]
            except (ValueError, KeyError):
                return self.error(400, None, "paths is required")
            return self.json([self.row(r, p) for p in paths if p in r.files or p in r.dirs])
        if rest[0] == "xet-read-token" and self.state.args.xet_headers:
            return self.json({"accessToken": "xet_standin", "exp": int(time.time()) + 900, "casUrl": self.cdn_base()})
        self.error(404, None, "Not Found")

    def row(self, r, path, expand=False):
        if path in r.dirs:
            out = {"type": "directory", "oid": r.dirs[path], "size": 0, "path": path}
        else:
            e = r.files[path]
            out = {"type": "file", "oid": e.oid, "size": e.size, "path": path}
            if e.lfs:
                out["lfs"] = {"oid": e.sha256, "size": e.size, "pointerSize": len(e.pointer)}
                if self.state.args.xet_headers:
                    out["xetHash"] = e.xet
        if expand:
            out["lastCommit"] = {"id": r.sha, "title": "standin", "date": FIXED_DATE}
            if path in r.files:
                out["securityFileStatus"] = {"status": "safe", "avScan": {}, "pickleImportScan": None}
        return out

    def tree(self, repo, r, path):
        on = lambda k: self.query.get(k, ["false"])[0].lower() in ("1", "true")
        recursive, expand = on("recursive"), on("expand")
        if path and path not in r.dirs:
            return self.error(404, "EntryNotFound", "%s does not exist on \"%s\"" % (path, r.name))
        prefix = path + "/" if path else ""
        names = sorted(list(r.files) + list(r.dirs))
        names = [n for n in names if n.startswith(prefix) and (recursive or "/" not in n[len(prefix):])]
        page = self.state.args.page_size or (50 if expand else 1000)
        limit = min(page, int(self.query.get("limit", [page])[0]))
        after = base64.urlsafe_b64decode(self.query["cursor"][0]).decode() if "cursor" in self.query else ""
        names = [n for n in names if n > after]
        extra = []
        if len(names) > limit:
            q = {"recursive": str(recursive).lower(), "expand": str(expand).lower(), "limit": limit,
                 "cursor": base64.urlsafe_b64encode(names[limit - 1].encode()).decode()}
            extra.append(("Link", '<%s%s?%s>; rel="next"' % (self.base(), self.raw_path, urllib.parse.urlencode(q))))
        self.json([self.row(r, n, expand) for n in names[:limit]], extra)

    def cdn_base(self):
        return "http://%s:%d" % (self.state.args.cdn_host, self.state.args.cdn_port)

    def resolve(self, repo, rev, path, pointer):
        r = self.locate(repo, rev)
        if r is None or self.gate(repo):
            return
        commit = [("X-Repo-Commit", r.sha)]
        e = r.files.get(path)
        if e is None:
            return self.error(404, "EntryNotFound", "Entry not found", commit)
        if pointer:
            body = e.pointer if e.lfs else open(e.disk, "rb").read()
            return self.reply(200, self.common() + commit + [("Content-Type", "text/plain; charset=utf-8"),
                              ("ETag", '"%s"' % e.oid)], body)
        name = path.rsplit("/", 1)[-1]
        if e.lfs:
            self.state.by_oid[e.xet] = e
            exp = int(time.time()) + self.state.args.expires
            where = "/xet-bridge-us/%s/%s" % (hashlib.sha1(repo.encode()).hexdigest()[:24], e.xet)
            loc = "%s%s?%s" % (self.cdn_base(), where, urllib.parse.urlencode({
                "response-content-disposition": "inline; filename*=UTF-8''%s; filename=\"%s\";"
                % (urllib.parse.quote(name), name), "X-Xet-Cas-Uid": "public", "Expires": exp,
                "Signature": self.state.sign(where, exp)}))
            if self.fault_now and "location" in self.fault_now.spec:
                loc = self.fault_now.spec["location"]
            h = self.common() + commit + [
                ("Location", loc), ("Accept-Ranges", "bytes"), ("X-Linked-Size", str(e.size)),
                ("X-Linked-ETag", '"%s"' % (self.fault_etag() or e.sha256)), ("Content-Type", "text/plain; charset=utf-8")]
            if self.state.args.xet_headers:
                h += [("X-Xet-Hash", e.xet), ("Link", '<%s/api/models/%s/xet-read-token/%s>; rel="xet-auth", '
                      '<%s/v1/reconstructions/%s>; rel="xet-reconstruction-info"'
                      % (self.base(), repo, r.sha, self.cdn_base(), e.xet))]
            return self.reply(302, h, ("Found. Redirecting to " + loc).encode())
        if self.state.args.no_resolve_cache:
            return self.small(r, e)
        loc = self.prefix + "/api/resolve-cache/models/%s/%s/%s?%s=&etag=%s" % (
            repo, r.sha, urllib.parse.quote(path), urllib.parse.quote(self.raw_path, safe=""),
            urllib.parse.quote('"%s"' % e.oid))
        self.reply(307, self.common() + commit + [
            ("Location", loc), ("Accept-Ranges", "bytes"), ("X-Linked-Size", str(e.size)),
            ("X-Linked-ETag", '"%s"' % (self.fault_etag() or e.oid)), ("Content-Type", "text/plain; charset=utf-8")],
            ("Temporary Redirect. Redirecting to " + loc).encode())

    def resolve_cache(self, repo, rev, path):
        r = self.locate(repo, rev)
        if r is None or self.gate(repo):
            return
        e = r.files.get(path)
        if e is None:
            return self.error(404, "EntryNotFound", "Entry not found", [("X-Repo-Commit", r.sha)])
        self.small(r, e)

    def fault_etag(self):
        return self.fault_now.spec.get("etag") if self.fault_now else None

    def small(self, r, e):
        name = e.path.rsplit("/", 1)[-1]
        text = os.path.splitext(name)[1].lower() in TEXT_EXT
        h = self.common() + [
            ("X-Repo-Commit", r.sha), ("ETag", '"%s"' % (self.fault_etag() or e.oid)), ("Accept-Ranges", "bytes"),
            ("Cache-Control", "no-cache, max-age=31536000"),
            ("Content-Disposition", "inline; filename*=UTF-8''%s; filename=\"%s\";"
             % (urllib.parse.quote(name), name.encode("ascii", "replace").decode())),
            ("Content-Type", "text/plain; charset=utf-8" if text else mimetypes.guess_type(name)[0] or "application/octet-stream")]
        if (text and e.size >= 1024 and not self.state.args.no_gzip and "Range" not in self.headers
                and "gzip" in (self.headers.get("Accept-Encoding") or "") and self.command == "GET"):
            with open(e.disk, "rb") as f:
                body = gzip.compress(f.read(), 5)
            h = [(k, "W/" + v if k == "ETag" else v) for k, v in h if k != "Vary"]  # as the Hub does: a weak ETag
            self.reply(200, h + [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"),
                                 ("Vary", "Origin,accept-encoding")], None)
            self.chunk(body)
            return self.chunk(b"")
        self.file(e, h)

    def chunk(self, data):
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        self.sent += len(data)

    # --- CDN

    def cdn(self):
        if self.headers.get("Authorization"):
            return self.reply(400, [("Content-Type", "application/xml")],
                              b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InvalidArgument</Code><Message>"
                              b"Only one auth mechanism allowed</Message></Error>")
        e = self.state.by_oid.get(self.url_path.rsplit("/", 1)[-1])
        expires = int(self.query.get("Expires", ["0"])[0] or 0)
        sig = self.query.get("Signature", [""])[0]
        xml = [("Content-Type", "application/xml")]
        if e is None or not hmac.compare_digest(sig, self.state.sign(self.url_path, expires)):
            return self.reply(403, xml, b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        if expires < time.time():
            return self.reply(403, xml, b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        limit = self.state.args.max_single_get
        if limit and e.size > limit and "Range" not in self.headers and self.command == "GET":
            return self.reply(400, xml, b"<?xml version=\"1.0\"?><Error><Code>EntityTooLarge</Code></Error>")
        self.file(e, [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"),
                      ("ETag", '"%s"' % (self.fault_etag() or e.xet)), ("Cache-Control", "public, max-age=31536000"),
                      ("Content-Disposition", self.query.get("response-content-disposition", ["inline"])[0]
                       .encode("ascii", "replace").decode()),
                      ("X-Cache", "Hit from standin")])

    # --- bytes

    def ranges(self, size):
        """(start, end, status): end is exclusive; status 200, 206 or 416."""
        spec = self.headers.get("Range")
        if not spec or (self.fault_now and self.fault_now.spec.get("ignore_range")):
            return 0, size, 200
        m = re.fullmatch(r"bytes=(\d*)-(\d*)", spec.strip())
        if not m or m.group(0).strip() == "bytes=-":
            return 0, size, 200
        a, b = m.groups()
        if a == "":
            n = int(b)
            return (max(0, size - n), size, 206) if n else (0, 0, 416)
        a = int(a)
        end = size if b == "" else min(size, int(b) + 1)
        if a >= size or (b != "" and int(b) < a):
            return 0, 0, 416
        return a, end, 206

    def file(self, e, headers):
        f = self.fault_now
        start, end, status = self.ranges(e.size)
        if status == 416:
            return self.reply(416, headers + [("Content-Range", "bytes */%d" % e.size)], b"")
        n = end - start
        declared = n + (f.num("content_length", 0) if f else 0)
        chunked = bool(f and f.spec.get("chunked"))
        h = list(headers)
        if status == 206:
            h.append(("Content-Range", "bytes %d-%d/%d" % (start, end - 1, e.size)))
        h.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(declared)))
        self.reply(status, h, None)
        if self.command == "HEAD":
            return
        fd = os.open(e.disk, os.O_RDONLY)
        try:
            if chunked:
                while start < end:
                    data = os.pread(fd, min(1 << 20, end - start), start)
                    self.chunk(data)
                    start += len(data)
                self.connection.sendall(b"0\r\n\r\n")
                return
            if f is None:
                self.send(fd, start, end)
            else:
                self.faulty_body(f, fd, start, end)
        finally:
            os.close(fd)
        if declared > n:
            self.cut("fin")  # a promise of more bytes than there are

    def send(self, fd, start, end):
        out = self.connection.fileno()
        while start < end:
            n = os.sendfile(out, fd, start, min(end - start, 1 << 26))
            if n == 0:
                raise ConnectionResetError()
            start += n
            self.sent += n

    def faulty_body(self, f, fd, start, end):
        drop, stall_at, rate = f.num("drop_after"), f.num("stall_after"), f.num("rate")
        flips = {int(x) for x in str(f.spec.get("corrupt_at", "")).split("+") if x}
        short = f.num("short", 0)
        stop = end - short
        pos, began = start, time.time()
        while pos < stop:
            upto = stop
            if drop is not None:
                upto = min(upto, start + drop)
                if pos >= start + drop:
                    self.cut(f.spec.get("drop", "fin"))
            if stall_at is not None and pos < start + stall_at:
                upto = min(upto, start + stall_at)
            nxt = min((x for x in flips if x >= pos), default=None)
            if nxt == pos:
                b = os.pread(fd, 1, pos)
                self.connection.sendall(bytes([b[0] ^ 0x01]))
                self.sent += 1
                pos += 1
                continue
            if nxt is not None:
                upto = min(upto, nxt)
            if rate:
                upto = min(upto, pos + max(1, min(rate // 20, 1 << 20)))
            self.send(fd, pos, upto)
            pos = upto
            if stall_at is not None and pos == start + stall_at:
                time.sleep(float(f.spec.get("stall", 3600)))
                stall_at = None
            if rate:
                ahead = (pos - start) / rate - (time.time() - began)
                if ahead > 0:
                    time.sleep(ahead)
        if short or (drop is not None and stop - start >= drop):
            self.cut(f.spec.get("drop", "fin"))


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512
    block_on_close = False
    allow_reuse_address = True

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        e = sys.exc_info()[1]
        if not isinstance(e, (ConnectionError, TimeoutError, Dropped, OSError)):
            super().handle_error(request, client_address)


def serve(args):
    hub = type("Hub", (Handler,), {"role": "hub"})
    cdn = type("Cdn", (Handler,), {"role": "cdn"})
    hub_srv = Server((args.bind, args.port), hub)
    args.port = hub_srv.server_port
    cdn_srv = Server((args.bind, args.cdn_port if args.cdn_port is not None else (args.port + 1 if args.port_given else 0)), cdn)
    args.cdn_port = cdn_srv.server_port
    state = Handler.state = State(args)
    names = state.repos.names()
    for n in names:
        revs = state.repos.revisions(n)
        for r in revs.values():
            for e in r.files.values():
                if e.lfs:
                    state.by_oid[e.xet] = e
            print("standin: %s@%s %s %d files %d bytes" % (n, r.name, r.sha, len(r.files),
                  sum(e.size for e in r.files.values())), flush=True)
    for s in (hub_srv, cdn_srv):
        threading.Thread(target=s.serve_forever, daemon=True).start()
    print("standin: HF_ENDPOINT=http://127.0.0.1:%d cdn=http://%s:%d pid=%d"
          % (args.port, args.cdn_host, args.cdn_port, os.getpid()), flush=True)
    if args.ready_file:
        with open(args.ready_file + ".tmp", "w") as f:
            f.write("%d %d\n" % (args.port, args.cdn_port))
        os.replace(args.ready_file + ".tmp", args.ready_file)
    stop = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stop.set())
    stop.wait()
    print("standin: served %d requests, %d bytes, %d connections"
          % (state.requests, state.bytes, state.connections), flush=True)


# ---------------------------------------------------------------- a model to serve


def gen(args):
    """A repository that looks like a model: valid safetensors of seeded random bytes, and small files."""
    root = args.repo
    os.makedirs(root, exist_ok=True)
    rnd = random.Random(args.seed)
    weight_map, total = {}, 0
    size = args.shard_mib << 20
    for i in range(args.shards):
        name = "model-%05d-of-%05d.safetensors" % (i + 1, args.shards)
        per, cols = 4, 1024
        tensors = {}
        room = size - 8 - 1024
        each = room // per // (2 * cols) * (2 * cols)
        off = 0
        for t in range(per):
            n = each
            if t == per - 1:
                n = None
            key = "model.layers.%d.block.%d.weight" % (i, t)
            tensors[key] = n
            weight_map[key] = name
        header, off = {"__metadata__": {"format": "pt"}}, 0
        for key, n in tensors.items():
            if n is None:  # the last takes what is left, as bytes
                n = size - 8 - 1024 - off
                header[key] = {"dtype": "U8", "shape": [n], "data_offsets": [off, off + n]}
            else:
                header[key] = {"dtype": "BF16", "shape": [n // 2 // cols, cols], "data_offsets": [off, off + n]}
            off += n
        total += off
        head = json.dumps(header, separators=(",", ":")).encode()
        head += b" " * (1024 - len(head))
        assert len(head) == 1024 and 8 + 1024 + off == size, (len(head), off, size)
        with open(os.path.join(root, name), "wb") as f:
            f.write(struct.pack("<Q", 1024) + head)
            left = off
            while left:
                n = min(left, 8 << 20)
                f.write(rnd.randbytes(n))
                left -= n
    small = {
        ".gitattributes": "".join("%s filter=lfs diff=lfs merge=lfs -text\n" % p for p in DEFAULT_LFS),
        "README.md": "---\nlicense: apache-2.0\n---\n# stand-in model\n\n" + "A model of random bytes.\n" * 60,
        "LICENSE": "Apache License 2.0, by reference.\n",
        "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1024,
                                   "num_hidden_layers": args.shards, "torch_dtype": "bfloat16"}, indent=2) + "\n",
        "generation_config.json": '{\n  "do_sample": true,\n  "temperature": 0.6\n}\n',
        "tokenizer_config.json": json.dumps({"tokenizer_class": "LlamaTokenizer", "model_max_length": 4096}, indent=2) + "\n",
        "tokenizer.json": json.dumps({"version": "1.0", "model": {"vocab": {"tok%d" % i: i for i in range(60000)}}}),
        "model.safetensors.index.json": json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2) + "\n",
        "original/params.json": '{"dim": 1024}\n',
        "assets/name with spaces & ünïcode #1.txt": "percent-encode me\n",
    }
    if args.plain_names:
        small = {k: v for k, v in small.items() if k.isascii() and " " not in k}
    for name, text in small.items():
        p = os.path.join(root, name)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, "w") as f:
            f.write(text)
    for i in range(args.extra_small):
        p = os.path.join(root, "extra", "%03d" % (i // 100), "file-%06d.txt" % i)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, "w") as f:
            f.write("file %d\n" % i)
    print("%s: %d shards of %d MiB" % (root, args.shards, args.shard_mib))


def index(args):
    r = Repos(args.root, args.lfs_threshold)
    for n in r.names():
        for rev in r.revisions(n).values():
            print(n, rev.name, rev.sha)
            if args.files:
                for e in rev.files.values():
                    print("  %s %12d %s %s" % (e.oid, e.size, e.sha256 or "-", e.path))


def size(text):
    m = re.fullmatch(r"(\d+)([kKmMgG]?)i?[bB]?", text)
    if not m:
        raise argparse.ArgumentTypeError("not a size: " + text)
    return int(m.group(1)) << {"": 0, "k": 10, "m": 20, "g": 30}[m.group(2).lower()]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    sub = p.add_subparsers(dest="cmd", required=True)
    s = sub.add_parser("serve", help="serve ROOT/<org>/<name>/...")
    s.add_argument("root")
    s.add_argument("--bind", default="127.0.0.1")
    s.add_argument("--port", type=int, default=8800, help="the Hub's port; 0 picks one")
    s.add_argument("--cdn-port", type=int, help="default: the port after it (or any, with --port 0)")
    s.add_argument("--cdn-host", default="127.0.0.1", help="the host name in redirects (localhost makes the host differ)")
    s.add_argument("--token", action="append", help="a valid token (repeatable); without any, every token passes")
    s.add_argument("--grant", action="append", help="a valid token that may also read gated and private repositories")
    s.add_argument("--require-token", action="store_true", help="nothing is public")
    s.add_argument("--gated", action="append", metavar="ORG/NAME")
    s.add_argument("--private", action="append", metavar="ORG/NAME")
    s.add_argument("--rename", action="append", metavar="OLD/NAME=NEW/NAME", help="307 from the old name to the new")
    s.add_argument("--prefix", default="", help="serve the Hub below this path, as some proxies do (HF_ENDPOINT ends in it)")
    s.add_argument("--page-size", type=int, help="entries a page of the tree listing (1000; 50 with expand)")
    s.add_argument("--lfs-threshold", type=size, default=10 << 20, help="files this large are LFS whatever their name")
    s.add_argument("--expires", type=int, default=3600, help="seconds that a signed CDN address lives")
    s.add_argument("--max-single-get", type=size, help="the CDN refuses (400) a GET without Range of a larger file")
    s.add_argument("--no-resolve-cache", action="store_true", help="serve small files at /resolve/ itself, without the 307")
    s.add_argument("--no-gzip", action="store_true", help="never compress small text files")
    s.add_argument("--xet-headers", action="store_true", help="show xetHash and X-Xet-Hash (no Xet server behind them)")
    s.add_argument("--fault", action="append", metavar="K=V,...", help="a fault rule (repeatable); see hf_standin.md")
    s.add_argument("--log", help="append one JSON line a request to this file")
    s.add_argument("--ready-file", help="written, with the two ports, once it listens")
    s.add_argument("--seed", help="changes signatures only")
    s.add_argument("-v", "--verbose", action="store_true")
    g = sub.add_parser("gen", help="make a model repository of seeded random bytes")
    g.add_argument("repo", metavar="ROOT/ORG/NAME")
    g.add_argument("--shards", type=int, default=4)
    g.add_argument("--shard-mib", type=int, default=512)
    g.add_argument("--seed", type=int, default=1)
    g.add_argument("--extra-small", type=int, default=0, help="that many extra tiny files")
    g.add_argument("--plain-names", action="store_true", help="only names that need no percent-encoding")
    i = sub.add_parser("index", help="print revisions and their commit hashes")
    i.add_argument("root")
    i.add_argument("--files", action="store_true")
    i.add_argument("--lfs-threshold", type=size, default=10 << 20)
    args = p.parse_args()
    if args.cmd == "serve":
        args.port_given = args.port != 0
        args.prefix = "/" + args.prefix.strip("/") if args.prefix.strip("/") else ""
        serve(args)
    else:
        {"gen": gen, "index": index}[args.cmd](args)


if __name__ == "__main__":
    main()
