# SPDX-License-Identifier: MIT
"""Debian's docker-registry on loopback, filled with images of ours by skopeo."""
import os
import pathlib
import socket
import subprocess

import ctrzlib

CONFIG = """
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {root} }}, delete: {{ enabled: true }} }}
http: {{ addr: 127.0.0.1:{port} }}
"""


class Registry:
    """One registry; use as a context."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = ctrzlib.free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.yml"
        config.write_text(CONFIG.format(root=self.folder / "data", port=self.port), encoding="utf-8")
        with open(self.folder / "log", "wb") as log:
            # It takes REGISTRY_... for its own configuration; skopeo's REGISTRY_AUTH_FILE too.
            env = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
            env["OTEL_TRACES_EXPORTER"] = "none"
            self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log, env=env)
        try:
            ctrzlib.wait_until("the registry answers", self.answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def push(self, source, name):
        """Copy a skopeo source ("oci:DIR:TAG") here under NAME."""
        r = ctrzlib.run(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-no-creds", source, f"docker://{self.host}/{name}"])
        assert r.code == 0, r
