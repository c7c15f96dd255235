# SPDX-License-Identifier: Apache-2.0
"""Listens on every address of its network namespace: TCP and UDP services, and a name server. Told what to do by lines of JSON, an answer each:

    {"names": {"a.example": {"a": ["192.0.2.1"], "ttl": 5, "cname": "b.example", "rcode": 0}}}   what the name server knows; "raw": hex, sent as it is
    {"serve": "192.0.2.53"}   a name server, at this address
    {"seen": true}   what came since the last time: {"tcp": [[address, port], ...], "udp": {port: [datagrams, bytes]}, "names": [...]}
"""

import asyncio
import json
import struct
import sys

MUTE_PORT = 7000  # takes connections, reads nothing, closes nothing
ECHO_PORT = 4444
TCP_PORTS = (80, 443, 2222, 5432, 8443)
UDP_PORTS = (9999, 123)
names = {}
seen = {"tcp": [], "udp": {}, "names": []}


async def on_connection(reader, writer):
    address, port = writer.get_extra_info("sockname")[:2]
    peer = writer.get_extra_info("peername")[0]
    seen["tcp"].append([address, port])
    writer.write(f"{address} {port} saw {peer}\n".encode())
    try:
        await writer.drain()
        while await reader.read(1 << 16):
            pass
        writer.close()
    except OSError:
        pass


class Mute(asyncio.Protocol):
    kept = []

    def connection_made(self, transport):
        transport.pause_reading()
        self.kept.append(transport)


async def on_echo(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


class Sink(asyncio.DatagramProtocol):
    def __init__(self, port):
        self.port = str(port)

    def datagram_received(self, data, address):
        count = seen["udp"].setdefault(self.port, [0, 0])
        count[0] += 1
        count[1] += len(data)


def read_question(data):
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    return ".".join(labels).lower(), struct.unpack("!H", data[at + 1:at + 3])[0], data[12:at + 5]


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, ttl, data):
    return wire(owner) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


class NameServer(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        name, kind, question = read_question(data)
        seen["names"].append([name, kind])
        known = names.get(name)
        if known and known.get("silent"):
            return
        if known and "raw" in known:
            self.transport.sendto(data[:2] + bytes.fromhex(known["raw"]), address)
            return
        records, rcode, at = [], 3 if known is None else known.get("rcode", 0), name
        while at in names and names[at].get("cname"):
            records.append(record(at, 5, names[at].get("ttl", 60), wire(names[at]["cname"])))
            at = names[at]["cname"]
        for ip in names.get(at, {}).get("a", []) if kind == 1 else []:
            records.append(record(at, 1, names[at].get("ttl", 60), bytes(map(int, ip.split(".")))))
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(records), 0, 0)
        self.transport.sendto(head + question + b"".join(records), address)


async def main():
    loop = asyncio.get_running_loop()
    for port in TCP_PORTS:
        await asyncio.start_server(on_connection, ("0.0.0.0", "::"), port)
    await asyncio.start_server(on_echo, "0.0.0.0", ECHO_PORT)
    await loop.create_server(Mute, "0.0.0.0", MUTE_PORT)
    for port in UDP_PORTS:
        await loop.create_datagram_endpoint(lambda port=port: Sink(port), ("0.0.0.0", port))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        request, answer = json.loads(line), {}
        if "names" in request:
            names.clear()
            names.update(request["names"])
        if "serve" in request:
            # bound to its address: an answer must come from where the question went
            await loop.create_datagram_endpoint(NameServer, (request["serve"], 53))
        if "seen" in request:
            answer = json.loads(json.dumps(seen))
            seen.update(tcp=[], udp={}, names=[])
        print(json.dumps(answer), flush=True)


asyncio.run(main())
