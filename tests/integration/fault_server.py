# SPDX-License-Identifier: MIT
"""A registry of our own that serves images from memory and misbehaves where a test tells it to."""
import http.server
import json
import re
import socket
import ssl
import threading
import urllib.parse

import ocilib


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        path, _, query = self.path.partition("?")
        request = {"method": self.command, "path": path, "query": urllib.parse.parse_qs(query), "headers": self.headers,
                   "body": b""}
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            request["body"] = self.rfile.read(length)
        with self.server.owner.lock:
            self.server.owner.log.append(request)
        for pattern, fault in self.server.owner.faults:
            if re.fullmatch(pattern, path) and fault(self, request):
                return
        self.server.owner.serve(self, request)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def answer(self, status, body=b"", **headers):
        """A whole, well-formed answer."""
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), one)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class FaultServer:
    """Serves images; faults are (path pattern, function(handler, request)) that answer where they return True."""

    def __init__(self, tls=None):
        self.http = Server(("127.0.0.1", 0), Handler)
        self.http.owner = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.log, self.faults = [], []
        self.blobs, self.manifests = {}, {}
        self.stop = threading.Event()
        self.ranges = True

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.http.shutdown()
        self.http.server_close()

    def put(self, image, name, tag="latest"):
        self.blobs.update(image.blobs)
        self.put_manifest(name, tag, image.manifest_bytes, image.media_type)

    def put_manifest(self, name, tag, data, media_type):
        for key in (tag, ocilib.digest(data)):
            self.manifests[f"/v2/{name}/manifests/{key}"] = (data, media_type)

    def fault(self, pattern, times=None):
        """Decorator: the function answers requests for this path, the first so many times."""
        def add(fn):
            left = [times]

            def limited(handler, request):
                if left[0] is not None:
                    with self.lock:
                        if left[0] == 0:
                            return False
                        left[0] -= 1
                return fn(handler, request) is not False
            self.faults.append((pattern, limited))
            return fn
        return add

    def paths(self, method=None):
        return [r["path"] for r in self.log if method in (None, r["method"])]

    def serve(self, h, request):
        path = request["path"]
        if path == "/v2/":
            h.answer(200, b"{}")
        elif path in self.manifests:
            data, media_type = self.manifests[path]
            h.answer(200, data, Content_Type=media_type, Docker_Content_Digest=ocilib.digest(data))
        elif "/blobs/" in path and path.rsplit("/", 1)[1] in self.blobs:
            self.serve_blob(h, request, self.blobs[path.rsplit("/", 1)[1]])
        else:
            h.answer(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode())

    def serve_blob(self, h, request, data):
        asked = re.fullmatch(r"bytes=(\d+)-", request["headers"].get("Range") or "")
        if asked and self.ranges:
            start = int(asked.group(1))
            h.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            h.answer(200, data)
