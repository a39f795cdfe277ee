#!/usr/bin/env python3
"""A fault-injecting HTTP/1.1 proxy in front of an OCI registry on loopback (Python standard library only).

    registry_fault_proxy.py --listen 5078 --upstream 127.0.0.1:5077 --fault method=PATCH,status=503,times=2

A rule is K=V pairs: method, match (a glob on the path), times (0: always), skip, and one of
status=N (with retry_after=S), drop_after=BYTES (cut while the request body is being received), drop_reply (forward
it, then cut without answering), delay=S.  Rules can be replaced while it runs: PUT /__faults__ with a JSON list;
GET /__faults__ shows their hits.  Location headers are rewritten, so that clients stay on the proxy.
"""
import argparse
import fnmatch
import http.client
import http.server
import json
import socket
import socketserver
import struct
import sys
import threading
import time

KEYS = {"method", "match", "times", "skip", "status", "retry_after", "drop_after", "drop_reply", "delay"}


def rule(spec):
    if isinstance(spec, str):
        spec = dict(p.split("=", 1) if "=" in p else (p, "1") for p in spec.split(",") if p)
    if set(spec) - KEYS:
        raise ValueError("unknown fault key: %s" % sorted(set(spec) - KEYS))
    return dict(spec, hits=0)


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream, rules, lock, log = None, [], threading.Lock(), None

    def log_message(self, *_):
        pass

    def caught(self):
        with self.lock:
            for r in self.rules:
                if r.get("method", self.command) != self.command:
                    continue
                if not fnmatch.fnmatchcase(self.path.split("?")[0], r.get("match", "*")):
                    continue
                r["hits"] += 1
                n = r["hits"] - int(r.get("skip", 0))
                if n > 0 and (int(r.get("times", 0)) == 0 or n <= int(r["times"])):
                    return r
        return None

    def chunks(self):
        left = int(self.headers.get("Content-Length") or 0)
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            while n := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
            return
        while left:
            data = self.rfile.read1(min(left, 1 << 18)) if hasattr(self.rfile, "read1") else self.rfile.read(min(left, 1 << 16))
            if not data:
                raise ConnectionResetError()
            left -= len(data)
            yield data

    def simple(self, status, body, headers=()):
        self.send_response_only(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def go(self):
        try:
            self.pass_on()
        except (ConnectionError, ValueError, OSError, http.client.HTTPException):
            self.close_connection = True

    def pass_on(self):
        if self.path == "/__faults__":
            if self.command == "PUT":
                new = [rule(x) for x in json.loads(b"".join(self.chunks()) or b"[]")]
                with self.lock:
                    Proxy.rules = new
            return self.simple(200, json.dumps(self.rules).encode(), [("Content-Type", "application/json")])
        r = self.caught()
        if self.log:
            self.log.write("%s %s%s\n" % (self.command, self.path.split("?")[0], "  FAULT" if r else ""))
        if r and "delay" in r:
            time.sleep(float(r["delay"]))
        if r and "status" in r:
            for _ in self.chunks():  # as a load balancer would: read it all, then refuse
                pass
            extra = [("Retry-After", str(r["retry_after"]))] if "retry_after" in r else []
            return self.simple(int(r["status"]), b'{"errors":[{"code":"UNAVAILABLE","message":"injected"}]}', extra)
        up = http.client.HTTPConnection(*self.upstream)
        up.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for k, v in self.headers.items():
            if k.lower() not in ("connection", "transfer-encoding"):
                up.putheader(k, v)
        chunked = "chunked" in (self.headers.get("Transfer-Encoding") or "").lower()
        if chunked:
            up.putheader("Transfer-Encoding", "chunked")
        up.endheaders()
        seen = 0
        for data in self.chunks():
            up.send(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            seen += len(data)
            if r and "drop_after" in r and seen >= int(r["drop_after"]):
                up.close()
                return self.cut()
        if chunked:
            up.send(b"0\r\n\r\n")
        res = up.getresponse()
        if r and "drop_reply" in r:
            res.read()
            return self.cut()
        self.send_response_only(res.status)
        length = res.getheader("Content-Length")
        for k, v in res.getheaders():
            if k.lower() == "location":
                v = v.replace("http://%s:%d" % self.upstream, "http://%s" % self.headers.get("Host"))
            if k.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(k, v)
        body = b"" if self.command == "HEAD" or length is not None else res.read()
        self.send_header("Content-Length", length if length is not None else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            if length is None:
                self.wfile.write(body)
            else:
                while data := res.read(1 << 20):
                    self.wfile.write(data)
        up.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = go


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size, block_on_close = True, 256, False

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], (ConnectionError, OSError, ValueError)):
            super().handle_error(*_)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--listen", type=int, default=5078)
    p.add_argument("--upstream", default="127.0.0.1:5000")
    p.add_argument("--fault", action="append", default=[])
    p.add_argument("--log", help="append one line a request to this file")
    a = p.parse_args()
    host, port = a.upstream.rsplit(":", 1)
    Proxy.upstream, Proxy.rules = (host, int(port)), [rule(f) for f in a.fault]
    if a.log:
        Proxy.log = open(a.log, "a", buffering=1)
    server = Server(("127.0.0.1", a.listen), Proxy)  # port 0: any that is free
    print("registry fault proxy: 127.0.0.1:%d -> %s" % (server.server_address[1], a.upstream), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
