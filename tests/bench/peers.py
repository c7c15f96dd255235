# SPDX-License-Identifier: Apache-2.0
"""What people use today for the same work, brought and started by the bench itself: nginx + fcgiwrap, nginx + uwsgi, workerd.

Nothing is installed into the system, so that no service of it starts: Debian's packages are downloaded and unpacked under build/bench/peers, workerd comes from npm
into the same place.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PACKAGES = ["nginx", "fcgiwrap", "libfcgi0ldbl", "uwsgi-core", "uwsgi-plugin-python3", "libpython3.11", "libzmq5", "libnorm1", "libpgm-5.3-0", "libsodium23",
            "libyajl2", "libxml2", "libicu72"]
MIME = "application/json"

CGI = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    char body[4096];
    const char *length = getenv("CONTENT_LENGTH");
    size_t n = fread(body, 1, length ? (size_t)atoi(length) % sizeof(body) : 0, stdin);
    printf("Content-Type: application/json\r\n\r\n%.*s", (int)n, body);
    return 0;
}
"""

WSGI = """
import json

def application(environ, start_response):
    event = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    body = json.dumps({"hello": event["name"]}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""

WORKER = """
export default {
  async fetch(request) {
    const event = await request.json();
    return Response.json({hello: event.name});
  }
};
"""

WORKERD = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:%(port)d", http = (), service = "main")]
);
const worker :Workerd.Worker = (modules = [(name = "worker", esModule = embed "worker.mjs")], compatibilityDate = "2024-01-01");
"""

NGINX = """
worker_processes %(workers)d;
daemon off;
master_process on;
user %(user)s;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %(dir)s/body;
  fastcgi_temp_path %(dir)s/fastcgi;
  uwsgi_temp_path %(dir)s/uwsgi;
  proxy_temp_path %(dir)s/proxy;
  scgi_temp_path %(dir)s/scgi;
  keepalive_requests 100000000;
  upstream cgi { server unix:%(dir)s/fcgi.sock; }
  upstream wsgi { server unix:%(dir)s/uwsgi.sock; }
  server {
    listen 127.0.0.1:%(port)d;
    location /cgi {
      fastcgi_pass cgi;
      fastcgi_param SCRIPT_FILENAME %(dir)s/hello.cgi;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param CONTENT_TYPE $content_type;
    }
    location /wsgi {
      uwsgi_pass wsgi;
      uwsgi_param REQUEST_METHOD $request_method;
      uwsgi_param CONTENT_LENGTH $content_length;
      uwsgi_param CONTENT_TYPE $content_type;
      uwsgi_param PATH_INFO /;
      uwsgi_param SERVER_NAME localhost;
      uwsgi_param SERVER_PORT 80;
    }
  }
}
"""


def fetch(where):
    """Brings what is missing. Returns a line per peer that could not be brought."""
    missing = []
    root = where / "root"
    if not (root / "usr/sbin/nginx").exists():
        packages = where / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", *PACKAGES], cwd=packages, capture_output=True, text=True)
        if done.returncode != 0:
            missing.append(f"nginx, fcgiwrap, uwsgi: apt-get download failed: {done.stderr.strip().splitlines()[-1:]}")
        else:
            for package in packages.glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, root], check=True)
    if not (where / "node_modules/.bin/workerd").exists():
        if not shutil.which("npm"):
            missing.append("workerd: there is no npm")
        else:
            done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", where, "workerd"], capture_output=True, text=True)
            if done.returncode != 0:
                missing.append(f"workerd: npm failed: {done.stderr.strip()[:200]}")
    return missing


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, name):
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"{name} has ended with status {process.returncode}") from None
            if time.monotonic() > end:
                raise RuntimeError(f"{name} does not listen") from None
            time.sleep(0.01)


class Peers:
    """All of them, running until stop(). `targets`: name -> (host, port, path, pid)."""

    def __init__(self, where, workers):
        self.where = where
        self.workers = workers
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-peers-"))
        self.directory.chmod(0o755)
        self.processes = []
        self.targets = {}
        self.missing = fetch(where)
        if (where / "root/usr/sbin/nginx").exists():
            self.start_nginx()
        if (where / "node_modules/.bin/workerd").exists():
            self.start_workerd()

    def spawn(self, *command, **more):
        library = self.where / "root/usr/lib/x86_64-linux-gnu"
        environment = dict(os.environ, LD_LIBRARY_PATH=str(library))
        with open(self.directory / "log", "ab") as log:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def start_nginx(self):
        root, here = self.where / "root", self.directory
        (here / "hello.c").write_text(CGI)
        subprocess.run(["cc", "-O2", "-o", here / "hello.cgi", here / "hello.c"], check=True)
        (here / "app.py").write_text(WSGI)
        port = free_port()
        (here / "nginx.conf").write_text(NGINX % {"workers": os.cpu_count(), "user": "root", "dir": here, "port": port})
        fcgi = self.spawn(root / "usr/sbin/fcgiwrap", "-c", self.workers, "-s", f"unix:{here}/fcgi.sock")
        wsgi = self.spawn(root / "usr/bin/uwsgi-core", "--plugins-dir", root / "usr/lib/uwsgi/plugins", "--plugin", "python311", "--master", "--processes",
                          self.workers, "--socket", here / "uwsgi.sock", "--chmod-socket=666", "--disable-logging", "--wsgi-file", here / "app.py", cwd=here)
        nginx = self.spawn(root / "usr/sbin/nginx", "-c", here / "nginx.conf", "-p", here)
        wait_for_port(port, nginx, "nginx")
        end = time.monotonic() + 20
        while not ((here / "fcgi.sock").exists() and (here / "uwsgi.sock").exists()):
            for name, process in (("fcgiwrap", fcgi), ("uwsgi", wsgi)):
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended: {(here / 'log').read_text()[-500:]}")
            if time.monotonic() > end:
                raise RuntimeError("fcgiwrap or uwsgi do not listen")
            time.sleep(0.01)
        self.targets["nginx + fcgiwrap, C"] = ("127.0.0.1", port, "/cgi", nginx.pid)
        self.targets["nginx + uwsgi, Python"] = ("127.0.0.1", port, "/wsgi", nginx.pid)

    def start_workerd(self):
        port = free_port()
        (self.directory / "worker.mjs").write_text(WORKER)
        (self.directory / "config.capnp").write_text(WORKERD % {"port": port})
        process = self.spawn(self.where / "node_modules/.bin/workerd", "serve", self.directory / "config.capnp")
        wait_for_port(port, process, "workerd")
        self.targets["workerd, JavaScript"] = ("127.0.0.1", port, "/", process.pid)

    def stop(self):
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
