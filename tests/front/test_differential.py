# SPDX-License-Identifier: Apache-2.0
"""faasd beside Node's HTTP server and nginx, on the cases of cases.txt and on seeded mutations of them, a canary behind each: faasd takes nothing that both of them
refuse, and where the two agree on how bytes are cut into requests and bodies it never cuts them in another way. It may refuse more.

FRONT_MUTATIONS and FRONT_SEED choose others."""

import os
import random
import re

import pytest

import paths  # noqa: F401  (the harness of the integration tests)
import table
from harness import PROGRAMS, Faasd
from peers import NGINX, NODE, Peers, say, taken_by_faasd, taken_by_peer

pytestmark = [pytest.mark.skipif(not NGINX.exists(), reason="no nginx here: scripts/setup test unpacks it"),
              pytest.mark.skipif(not NODE, reason="no node here: scripts/setup test installs it")]

MUTATIONS = int(os.environ.get("FRONT_MUTATIONS", "12000"))
SEED = int(os.environ.get("FRONT_SEED", "9112"))
BATCH = 64
CANARY = b"POST /function/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\ncanary"
# A reply to HEAD tells of a body that does not come: which it answers can't be known of a mutated stream.
CASES = [case for case in table.read() if b"HEAD " not in case.data]

# What faasd takes though both refuse it, and why that is right: (why, pattern, what stands in its place where they would take it). A stream that holds one is looked
# at again with the other in its place, and nothing may be found then.
TAKEN_ALONE = [
    ("RFC 9110 section 9.1: a method is any token; Node knows a list of them, nginx takes upper-case letters, '-' and '_' only",
     re.compile(rb"[A-Z_-]*[!#$%&'*+.^`|~0-9a-z][!#$%&'*+.^_`|~0-9A-Za-z-]*(?= (?:/|\*|http://)[^ ]* HTTP/1)"), b"GET"),
]

TOKENS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\xff", b":", b",", b";", b"=", b'"', b"-", b"+", b"_", b"0", b"3", b"f", b"x", b"0x",
          b"\r\n\r\n", b"\r\n ", b" \r\n", b"chunked", b"identity", b"HTTP/1.0", b"HTTP/1.1", b"0\r\n\r\n", b"3\r\nabc\r\n",
          b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: localhost\r\n", b"Connection: close\r\n",
          b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Trailer: X\r\n", b"GET /function/echo HTTP/1.1\r\nHost: localhost\r\n\r\n"]


@pytest.fixture(scope="module")
def front():
    with Faasd() as daemon:
        daemon.deploy("echo", PROGRAMS / "echo", "--runtime", "native", "--queue", "2000", "--min-warm", "1")
        yield daemon


@pytest.fixture(scope="module")
def peers():
    peers = Peers()
    yield peers
    peers.stop()


def mutate(rng, data):
    lines = data.split(b"\r\n")
    at = rng.randrange(len(data) + 1)
    how = rng.randrange(8)
    if how == 0:
        return data[:at] + rng.choice(TOKENS) + data[at:]
    if how == 1:
        return data[:at] + data[at + rng.randrange(1, 5):]
    if how == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
    if how == 3:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    elif how == 4:
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
    elif how == 5:
        ends = [m.start() for m in re.finditer(rb"\r\n", data)]
        at = rng.choice(ends) if ends else at
        return data[:at] + rng.choice((b"\n", b"\r", b"\r\r\n", b" \r\n", b"\x00\r\n", b"")) + data[at + 2:]
    elif how == 6:
        start = rng.choice([0] + [m.end() for m in re.finditer(rb"\n", data)])
        return data[:start] + rng.choice(TOKENS) + data[start:]
    else:
        other = rng.choice(CASES).data[:2048]
        return data[:at] + other[rng.randrange(len(other) + 1):]
    return b"\r\n".join(lines)


def mutations():
    rng = random.Random(SEED)
    short = [case for case in CASES if len(case.data) <= 2048]
    good = [case for case in short if case.keeps]
    for _ in range(MUTATIONS):
        data = rng.choice(rng.choice((good, good, short))).data
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = mutate(rng, data)
        if b"HEAD " not in data and len(data) < 8192:
            yield data


def judge(ours, node, nginx):
    """What is wrong, or None."""
    if len(ours) > max(len(node), len(nginx)):
        return "taken, though both refuse it"
    for mine, one, other in zip(ours, node, nginx):
        if one != other:
            return None
        if mine is not None and mine != one:
            return "framed in another way than both"
    return None


def is_explained(front, peers, stream):
    other = stream
    for _, pattern, instead in TAKEN_ALONE:
        other = pattern.sub(instead, other)
    if other == stream:
        return False
    said = [say(path, [other])[0] for path in (front.invoke_path, peers.node_path, peers.nginx_path)]
    return not judge(taken_by_faasd(said[0]), taken_by_peer(said[1]), taken_by_peer(said[2]))


def compare(front, peers, streams):
    """The findings, and of how many requests the two agreed."""
    wrong, agreed, taken = [], 0, 0
    streams = [data + CANARY for data in streams]
    for at in range(0, len(streams), BATCH):
        batch = streams[at:at + BATCH]
        for stream, *said in zip(batch, say(front.invoke_path, batch), say(peers.node_path, batch), say(peers.nginx_path, batch)):
            ours, node, nginx = taken_by_faasd(said[0]), taken_by_peer(said[1]), taken_by_peer(said[2])
            fault = judge(ours, node, nginx)
            if fault and not is_explained(front, peers, stream):
                wrong.append(f"{fault}: {stream[:1500]!r}\n  faasd {ours}\n  node  {node}\n  nginx {nginx}\n  faasd said {said[0][:300]!r}")
            agreed += node == nginx
            taken += len(ours)
    return wrong, agreed, taken


def tell(capsys, what, count, agreed, taken):
    with capsys.disabled():
        print(f"\n{what}: {count} streams, faasd took {taken} requests, Node and nginx agreed on {agreed} streams")


def test_the_table_beside_node_and_nginx(front, peers, capsys):
    wrong, agreed, taken = compare(front, peers, [case.data for case in CASES])
    tell(capsys, "cases", len(CASES), agreed, taken)
    assert not wrong, "\n".join(wrong)
    assert agreed > len(CASES) / 3, "the peers hardly ever agree: nothing was compared"


def test_mutations_beside_node_and_nginx(front, peers, capsys):
    streams = list(mutations())
    wrong, agreed, taken = compare(front, peers, streams)
    tell(capsys, f"mutations (seed {SEED})", len(streams), agreed, taken)
    assert not wrong, f"{len(wrong)} findings, seed {SEED}:\n" + "\n".join(wrong[:20])
    assert agreed > len(streams) / 3


def test_the_peers_take_what_is_right(front, peers):
    """Two good requests and a bad one: all three took two, with their bodies. Else nothing here would be compared."""
    good = CANARY.replace(b"canary", b"GET / ")
    stream = [good + CANARY + b"GET / HTTP/1.1\r\nX : y\r\n\r\n" + CANARY]
    wanted = [b"GET / ", b"canary"]
    assert taken_by_faasd(say(front.invoke_path, stream)[0]) == wanted
    assert taken_by_peer(say(peers.node_path, stream)[0]) == wanted
    assert taken_by_peer(say(peers.nginx_path, stream)[0]) == wanted


@pytest.mark.parametrize("ours, node, nginx, fault", [
    ([b"a"], [], [], True),
    ([b"a", b"b"], [b"a"], [], True),
    ([b"a"], [b"ab"], [b"ab"], True),
    ([b"a"], [b"ab"], [b"a"], False),
    ([b"a"], [b"a", b"b"], [b"a", b"b"], False),
    ([None], [b"a"], [b"a"], False),
])
def test_the_judge(ours, node, nginx, fault):
    assert (judge(ours, node, nginx) is not None) == fault
