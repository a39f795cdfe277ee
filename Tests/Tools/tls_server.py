#!/usr/bin/env python3
"""An HTTPS server that asks its clients for a certificate and takes them without one, too.

usage: tls_server.py CERTIFICATE KEY AUTHORITY [--redirect URL]

The first line printed is "listening PORT". Then a line for each request: "GET /path client=NAME", the common name of the
client's certificate, or "client=none". --redirect sends everyone there.
"""
import argparse, http.server, ssl

ap = argparse.ArgumentParser()
ap.add_argument("certificate"); ap.add_argument("key"); ap.add_argument("authority"); ap.add_argument("--redirect")
A = ap.parse_args()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        subject = dict(pair[0] for pair in (self.connection.getpeercert() or {}).get("subject", ()))
        print("GET", self.path, "client=" + subject.get("commonName", "none"), flush=True)
        self.send_response(307 if A.redirect else 200)
        if A.redirect:
            self.send_header("Location", A.redirect)
        self.send_header("Content-Length", "0")
        self.end_headers()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(A.certificate, A.key)
context.load_verify_locations(A.authority)
context.verify_mode = ssl.CERT_OPTIONAL
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
