# SPDX-License-Identifier: Apache-2.0
"""A function that tries the network. The event is a list of attempts, the reply a list of what came of each:
["tcp", host, port] -> the first line that came, or the error; ["udp", host, port, count, bytes] -> how many were taken; ["name", host, family] -> addresses;
["listen", port, seconds], ["addresses"], ["hold", host, port, count]: connections kept open at one time; ["stall", host, port, count]: connections with
bytes that the peer does not take, left open for good; ["options", host, port, hex]: with these IP options; ["ports", server, count, name]: a question from each of so many ports;
["talk", host, port, count]: a byte there and back, so many times; ["borrow", address, host, port]: a datagram under another address; ["link", count]: datagrams to so many addresses
as if they were on the link."""
import errno
import os
import socket
import time

left = []
TIMEOUT = float(os.environ.get("TIMEOUT", "4"))


def name_of(e):
    if isinstance(e, socket.gaierror):
        return {socket.EAI_NONAME: "EAI_NONAME", socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NODATA: "EAI_NODATA"}.get(e.errno, str(e))
    if isinstance(e, TimeoutError) and not e.errno:
        return "timeout"
    return errno.errorcode.get(e.errno, str(e))


def tcp(host, port):
    with socket.create_connection((host, port), TIMEOUT) as s:
        return s.makefile().readline().strip() or "closed"


def udp(host, port, count, size):
    s, taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
    for _ in range(count):
        try:
            taken += s.sendto(b"x" * size, (host, port)) == size
        except OSError:
            pass
    return taken


def name(host, family):
    found = socket.getaddrinfo(host, 80, {4: socket.AF_INET, 6: socket.AF_INET6, 0: socket.AF_UNSPEC}[family], socket.SOCK_STREAM)
    return sorted({a[4][0] for a in found})


def listen(port, seconds):
    s = socket.create_server(("0.0.0.0", port))
    s.settimeout(seconds)
    return "reached by " + s.accept()[1][0]


def hold(host, port, count):
    kept, refused = [], []
    for _ in range(count):
        try:
            kept.append(socket.create_connection((host, port), TIMEOUT))
        except OSError as e:
            refused.append(name_of(e))
    return [len(kept), sorted(set(refused))]


def link(count):
    s, taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    for i in range(count):
        taken += s.sendto(b"x", (f"8.8.{i >> 8}.{i & 255}", 9))
    return taken


def stall(host, port, count):
    for _ in range(count):
        s = socket.create_connection((host, port), TIMEOUT)
        s.setblocking(False)
        try:
            while True:
                s.send(bytes(1 << 16))
        except BlockingIOError:
            left.append(s)
    return len(left)


def options(host, port, hexed):
    s = socket.socket()
    s.settimeout(TIMEOUT)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(hexed))
    s.connect((host, port))
    return s.makefile().readline().strip()


def ports(server, count, asked):
    question = b"".join(bytes([len(label)]) + label.encode() for label in asked.split(".")) + bytes([0, 0, 1, 0, 1])
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(bytes([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + question, (server, 53))
    return count


def talk(host, port, count):
    with socket.create_connection((host, port), TIMEOUT) as s:
        for done in range(count):
            s.sendall(b"x")
            if s.recv(1) != b"x":
                return done
            time.sleep(0.1)
    return count


def borrow(address, host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND, which needs no power
    s.bind((address, 0))
    return s.sendto(b"x", (host, port))


def six(host, port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.settimeout(TIMEOUT)
    s.connect((host, port))
    return s.makefile().readline().strip()


def dns(server, hexed):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(TIMEOUT)
    s.sendto(bytes.fromhex(hexed), (server, 53))
    return s.recv(4096).hex()


def addresses():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("93.184.216.34", 1))
    return s.getsockname()[0]


WAYS = {f.__name__: f for f in (tcp, udp, name, listen, hold, stall, options, ports, talk, borrow, six, dns, addresses, link)}


def attempt(way, *arguments):
    try:
        return WAYS[way](*arguments)
    except OSError as e:
        return name_of(e)


def handler(event, context):
    return [attempt(*a) for a in event]
