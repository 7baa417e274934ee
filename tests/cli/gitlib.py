# SPDX-License-Identifier: MIT
"""Git repositories and real servers for them: git http-backend behind TLS, sshd with an agent, git daemon."""
import base64
import http.server
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

BACKEND = "/usr/lib/git-core/git-http-backend"
# Nothing of the host's own configuration of git takes part.
GIT_ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
           "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
           "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}

SPEC = """containers:
  web:
    image: registry.example/web:1
    command: [sleep, "{0}"]
"""


def git(where, *args, **more):
    r = subprocess.run(["git", "-C", str(where), *map(str, args)], env=GIT_ENV, text=True, capture_output=True, check=False, timeout=120, **more)
    assert r.returncode == 0, f"git {args}: {r.stderr}"
    return r.stdout.strip()


class Repo:
    """A bare repository to fetch from, filled from a work tree beside it."""

    def __init__(self, folder, name="shop"):
        self.work = folder / f"{name}.work"
        self.bare = folder / "served" / f"{name}.git"
        self.bare.parent.mkdir(exist_ok=True)
        git(folder, "init", "-q", "-b", "main", self.work)
        git(folder, "init", "-q", "--bare", "-b", "main", self.bare)
        git(self.work, "remote", "add", "origin", self.bare)

    def commit(self, files=None, push=("main",), **more):
        for name, text in {**(files or {}), **more}.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", "x")
        if push:
            self.push(*push)
        return self.head()

    def head(self):
        return git(self.work, "rev-parse", "HEAD")

    def push(self, *refs):
        git(self.work, "push", "-q", "--force", "origin", *refs)

    def fast(self, files, branch="main"):
        """A commit of exactly these files on top of the branch, without a work tree: for thousands."""
        parent = git(self.bare, "rev-parse", branch)
        lines = [f"commit refs/heads/{branch}\ncommitter t <t@t> 1767225600 +0000\ndata 1\nx\nfrom {parent}\ndeleteall\n"]
        lines += [f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items()]
        git(self.bare, "fast-import", "--quiet", input="".join(lines))

    def raw_tree(self, entries, branch="raw"):
        """A commit whose tree is what is given: (mode, kind, object, name) lines, of any name git mktree takes."""
        lines = "".join(f"{mode} {kind} {oid}\t{name}\0" for mode, kind, oid, name in entries)
        tree = git(self.work, "mktree", "-z", "--missing", input=lines)
        commit = git(self.work, "commit-tree", "-m", "x", tree)
        self.push(f"{commit}:refs/heads/{branch}")
        return commit

    def blob(self, text):
        return git(self.work, "hash-object", "-w", "--stdin", input=text)


def make_ca(folder):
    """An authority, and a certificate of it for localhost. Returns (its file, certificate and key)."""
    ca, key, pem = folder / "ca.pem", folder / "ca.key", folder / "server.pem"

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", key, "-out", ca)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "s.key",
            "-out", folder / "s.csr")
    (folder / "ext").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", folder / "s.csr", "-CA", ca, "-CAkey", key, "-days", "2", "-extfile", folder / "ext", "-out", folder / "s.pem")
    pem.write_text((folder / "s.pem").read_text() + (folder / "s.key").read_text())
    return ca, pem


class GitHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_GET

    def serve(self):
        owner = self.server.owner
        owner.requests.append((self.command, self.path, self.headers.get("Authorization")))
        if owner.stalls:
            owner.stall.wait(60)
            return
        if owner.redirect and not self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", owner.redirect + self.path)
            self.end_headers()
            return
        if owner.login and self.headers.get("Authorization") != "Basic " + base64.b64encode(owner.login.encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        self.run_backend(owner)

    def run_backend(self, owner):
        path, _, query = self.path.removeprefix("/moved").partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.read_chunks()
        env = {**GIT_ENV, "GIT_PROJECT_ROOT": str(owner.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
               "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        out = subprocess.run([BACKEND], input=body, env=env, capture_output=True, check=False).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        # git's own client takes the mere end of a TLS connection for a broken one.
        fields.setdefault("Content-Length", str(len(rest)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        if owner.slow and self.command == "POST":
            self.wfile.write(rest[:len(rest) // 2])
            self.wfile.flush()
            owner.half_sent.set()
            owner.stall.wait(60)
        else:
            self.wfile.write(rest)

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body


class HttpsServer:
    """git http-backend for a folder of bare repositories, on https://localhost:PORT."""

    def __init__(self, root, pem=None, login=None):
        self.root, self.login = root, login
        self.requests, self.redirect = [], None
        self.stalls = self.slow = False
        self.stall, self.half_sent = threading.Event(), threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHandler)
        self.server.owner = self
        self.server.daemon_threads = True
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name="shop.git", rest="", user=""):
        return f"git+https://{user}localhost:{self.port}/{name}{rest}"

    def close(self):
        self.stall.set()
        self.server.shutdown()
        self.server.server_close()


def wait_for_port(port):
    for _ in range(600):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on port {port}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class SshServer:
    """sshd of this user on 127.0.0.1, with a key of its own and one key that it lets in, held by an agent."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        self.port = free_port()
        config = folder / "sshd_config"
        config.write_text(f"""ListenAddress 127.0.0.1
Port {self.port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
""")
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        with open(folder / "sshd.log", "wb") as log:
            self.sshd = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=log)
        self.socket = folder / "agent"
        self.agent = subprocess.Popen(["ssh-agent", "-D", "-a", self.socket], stdout=subprocess.DEVNULL)
        wait_for_port(self.port)
        while not self.socket.exists():
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", folder / "user"], env={**os.environ, "SSH_AUTH_SOCK": str(self.socket)}, check=True, capture_output=True)

    def known_hosts(self, key=None):
        return f"[127.0.0.1]:{self.port} {key or (self.folder / 'host.pub').read_text()}"

    def url(self, path, rest=""):
        import getpass
        return f"git+ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}{rest}"

    def close(self):
        for p in (self.sshd, self.agent):
            p.send_signal(signal.SIGTERM)
            p.wait(30)
