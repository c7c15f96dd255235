# SPDX-License-Identifier: Apache-2.0
"""A small internet of network namespaces: HOST, where faasd runs, ROUTER, and WORLD, which has every address that functions try to reach.

    HOST  10.77.0.2, PUBLIC_OF_HOST -- 10.77.0.1  ROUTER  10.78.0.1 -- 10.78.0.2  WORLD: public, private and metadata addresses, and a name server

The test itself stays where it is: it talks to faasd by Unix sockets, and to WORLD by a pipe.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 1 << 18, 0x1000
libc = ctypes.CDLL(None, use_errno=True)

PUBLIC, OTHER_PUBLIC, THIRD_PUBLIC = "93.184.216.34", "93.184.216.35", "45.60.70.80"
PUBLIC_OF_HOST = "52.10.20.30"
HOST_ADDRESS = "10.77.0.2"
METADATA = "169.254.169.254"
PRIVATE = {"rfc1918-10": "10.1.2.3", "rfc1918-172": "172.20.1.1", "rfc1918-192": "192.168.9.9", "carrier": "100.100.1.1", "test-net": "203.0.113.9",
           "benchmark": "198.18.0.9", "reserved": "250.1.2.3"}
NAME_SERVER = "10.53.0.53"
TCP_PORTS = (80, 443, 5432, 8443)
UDP_PORT = 9999
ECHO_PORT = 4444
MUTE_PORT = 7000  # reads nothing, closes nothing


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def enter(namespace, resolv_conf=None):
    """For Popen's preexec_fn."""
    def preexec():
        fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        if libc.setns(fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)
        if resolv_conf:
            # a bind mount over the file itself, which may be a link, in a mount namespace of its own
            target = os.path.realpath("/etc/resolv.conf").encode()
            if (libc.unshare(CLONE_NEWNS) < 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) < 0
                    or libc.mount(str(resolv_conf).encode(), target, None, MS_BIND, None) < 0):
                raise OSError(ctypes.get_errno(), "a resolv.conf of its own")
    return preexec


class Peer:
    """tests/integration/network_peer.py in one of the namespaces: listens, answers names, and tells what came."""

    def __init__(self, namespace):
        self.process = subprocess.Popen([sys.executable, str(HERE / "network_peer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        preexec_fn=enter(namespace))
        assert self.process.stdout.readline() == b"ready\n"

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Internet:
    def __init__(self):
        tag = f"fe{os.getpid()}"
        self.host, self.router, self.world = f"{tag}h", f"{tag}r", f"{tag}w"
        self.made = []

    def at(self, namespace, *command):
        run("ip", "-n", namespace, *command)

    def sysctl(self, namespace, name, value):
        subprocess.run(["sh", "-c", f"echo {value} > /proc/sys/net/{name}"], check=True, preexec_fn=enter(namespace))

    def link(self, a, b, address_a, address_b, names):
        self.at(a, "link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns", b)
        for namespace, name, address in ((a, names[0], address_a), (b, names[1], address_b)):
            self.at(namespace, "addr", "add", address, "dev", name)
            self.at(namespace, "link", "set", name, "up")

    def __enter__(self):
        for namespace in (self.host, self.router, self.world):
            run("ip", "netns", "add", namespace)
            self.made.append(namespace)
            self.at(namespace, "link", "set", "lo", "up")
        self.link(self.host, self.router, "10.77.0.2/24", "10.77.0.1/24", ("out", "host"))
        self.link(self.router, self.world, "10.78.0.1/24", "10.78.0.2/24", ("world", "out"))
        self.at(self.host, "addr", "add", f"{PUBLIC_OF_HOST}/32", "dev", "out")
        self.at(self.host, "route", "add", "default", "via", "10.77.0.1")
        self.at(self.router, "route", "add", "default", "via", "10.78.0.2")
        self.at(self.world, "route", "add", "default", "via", "10.78.0.1")
        for address in (PUBLIC, OTHER_PUBLIC, THIRD_PUBLIC, METADATA, NAME_SERVER, *PRIVATE.values()):
            self.at(self.world, "addr", "add", f"{address}/32", "dev", "lo")
        # a link of the host's own to the metadata service, as in a cloud
        self.at(self.host, "route", "add", METADATA, "via", "10.77.0.1")
        self.sysctl(self.host, "ipv4/ip_forward", 1)
        self.sysctl(self.router, "ipv4/ip_forward", 1)
        self.peer = Peer(self.world)
        self.host_peer = Peer(self.host)
        self.peer.ask(serve=NAME_SERVER)
        return self

    def __exit__(self, *ignored):
        for peer in ("peer", "host_peer"):
            if hasattr(self, peer):
                getattr(self, peer).close()
        for namespace in reversed(self.made):
            run("ip", "netns", "del", namespace)

    def interfaces(self, namespace=None):
        done = subprocess.run(["ip", "-n", namespace or self.host, "-j", "link"], check=True, capture_output=True)
        return [link["ifname"] for link in json.loads(done.stdout)]

    @contextlib.contextmanager
    def forwarding(self, value):
        self.sysctl(self.host, "ipv4/ip_forward", value)
        try:
            yield
        finally:
            self.sysctl(self.host, "ipv4/ip_forward", 1)
