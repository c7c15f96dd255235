# SPDX-License-Identifier: Apache-2.0
"""Random deploys, removals, rollbacks, changes of aliases and calls of one name at once: every history has to be explainable.

Each thread notes when an operation began and ended and what came of it. A history is explained when the operations can be put into one order, each at some moment
between its beginning and its end, in which a model of one function gives the same results (linearizability; Wing & Gong 1993). FAASD_TEST_MODEL_OPERATIONS: how many
changes (default: 400, or what 12 s allow), FAASD_TEST_MODEL_SEED: the seed of the draws.
"""

import http.client
import io
import json
import os
import random
import tarfile
import threading
import time

from harness import Faasd, UnixHTTPConnection, within

OPERATIONS = int(os.environ.get("FAASD_TEST_MODEL_OPERATIONS", "400"))
SECONDS = 12 if "FAASD_TEST_MODEL_OPERATIONS" not in os.environ else float("inf")
SEED = int(os.environ.get("FAASD_TEST_MODEL_SEED", str(random.randrange(10**6))))
CHANGERS, CALLERS = 3, 3
ALIASES = ("blue", "green")


def archive(mark):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        data = f"#!/bin/sh\necho {mark}\n".encode()
        info = tarfile.TarInfo("run")
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


# -- the model: one function that nothing is collected of --

class State:
    """marks: number -> what that version prints; replaced: number -> what was current before its deploy. Immutable; current 0 = there is no such function."""

    __slots__ = ("current", "marks", "replaced", "aliases", "key")

    def __init__(self, current=0, marks=(), replaced=(), aliases=()):
        self.current, self.marks, self.replaced, self.aliases = current, marks, replaced, aliases
        self.key = (current, marks, replaced, aliases)

    def alias(self, name):
        return dict(self.aliases).get(name)


NOTHING = State()


def deploy(s, op):
    mark, status, number = op["mark"], op["status"], op["number"]
    if status != (200 if s.current else 201) or number != len(s.marks) + 1:
        return None
    return State(number, s.marks + (mark,), s.replaced + (s.current,), s.aliases)


def remove(s, op):
    if (op["status"] == 200) != bool(s.current):
        return None
    return NOTHING


def roll_back(s, op):
    wanted = op["version"]
    target = 0
    if s.current:
        target = wanted if wanted and wanted <= len(s.marks) else 0 if wanted else s.replaced[s.current - 1]
    if op["status"] == 404:
        return None if target else s
    if not target or op["number"] != target or op["from"] != s.current:
        return None
    return State(target, s.marks, s.replaced, s.aliases)


def set_alias(s, op):
    possible = bool(s.current) and 0 < op["version"] <= len(s.marks)
    if (op["status"] == 200) != possible:
        return None
    if not possible:
        return s
    aliases = dict(s.aliases)
    aliases[op["alias"]] = op["version"]
    return State(s.current, s.marks, s.replaced, tuple(sorted(aliases.items())))


def remove_alias(s, op):
    if (op["status"] == 204) != (s.alias(op["alias"]) is not None):
        return None
    return State(s.current, s.marks, s.replaced, tuple(a for a in s.aliases if a[0] != op["alias"]))


def call(s, op):
    qualifier = op["qualifier"]
    number = s.current
    if number and isinstance(qualifier, int):
        number = qualifier if qualifier <= len(s.marks) else 0
    elif number and qualifier:
        number = s.alias(qualifier) or 0
    if op["status"] == 404:
        return None if number else s
    return s if number and op["mark"] == s.marks[number - 1] and op["number"] == number else None


MODEL = {"deploy": deploy, "remove": remove, "rollback": roll_back, "set_alias": set_alias, "remove_alias": remove_alias, "call": call}
EXPECTED = {"deploy": {200, 201}, "remove": {200, 404}, "rollback": {200, 404}, "set_alias": {200, 404}, "remove_alias": {204, 404}, "call": {200, 404}}


# -- the operations --

class Worker:
    def __init__(self, faasd, seed, changes):
        self.faasd, self.random, self.changes = faasd, random.Random(seed), changes
        self.history = []
        self.conflicts = 0
        self.prefix = f"{seed}-"
        self.connection = None
        self.again = None

    def ask(self, method, path, body=None, headers=None):
        if not self.connection:
            self.connection = UnixHTTPConnection(self.faasd.control_path, within(60))
        self.connection.request(method, path, body=body, headers=headers or {})
        reply = self.connection.getresponse()
        data = reply.read()
        return reply.status, data, reply.headers

    def draw(self):
        r = self.random
        if not self.changes:
            kind = r.randrange(4)
            qualifier = None if kind < 2 else r.randrange(1, 6) if kind == 2 else r.choice(ALIASES)
            return {"do": "call", "qualifier": qualifier}
        do = r.choices(("deploy", "remove", "rollback", "set_alias", "remove_alias"), (10, 2, 6, 8, 6))[0]
        return {"do": do, "alias": r.choice(ALIASES), "mark": f"{self.prefix}{len(self.history) + self.conflicts}",
                "version": r.choice((0, 0, 1, 2, 3, 4)) if do == "rollback" else r.randrange(1, 6)}

    def perform(self, op):
        base = "/v1/functions/model"
        do = op["do"]
        if do == "deploy":
            status, data, _ = self.ask("PUT", base, archive(op["mark"]))
        elif do == "remove":
            status, data, _ = self.ask("DELETE", base)
        elif do == "rollback":
            status, data, _ = self.ask("POST", base + "/rollback", json.dumps({"version": op["version"]}) if op["version"] else "")
        elif do == "set_alias":
            status, data, _ = self.ask("PUT", f"{base}/aliases/{op['alias']}", json.dumps({"version": op["version"]}))
        elif do == "remove_alias":
            status, data, _ = self.ask("DELETE", f"{base}/aliases/{op['alias']}")
        else:
            status, data, headers = self.ask("POST", f"/function/model{':' + str(op['qualifier']) if op['qualifier'] else ''}", b"")
            if status == 200:
                op["mark"], op["number"] = data.decode().strip(), int(headers["X-Faasd-Version"])
        op["status"], op["reply"] = status, data
        if do in ("deploy", "rollback") and status < 300:
            reply = json.loads(data)
            op["number"], op["from"] = reply["number"], reply.get("from")

    def step(self):
        op = self.again or self.draw()
        self.again = None
        op["begun"] = time.monotonic()
        try:
            self.perform(op)
        except (OSError, http.client.HTTPException) as error:
            op["status"], op["reply"] = 0, repr(error)
        op["ended"] = time.monotonic()
        if op["status"] == 409:
            self.conflicts += 1  # refused at once, whatever the state is: nothing to explain
            self.again = op
        else:
            self.history.append(op)


def run(faasd, total):
    """`total` changes that came to something, and calls beside them; one history a worker."""
    workers = [Worker(faasd, SEED * 100 + i, i < CHANGERS) for i in range(CHANGERS + CALLERS)]

    def changes():
        return sum(len(w.history) for w in workers if w.changes)

    end = time.monotonic() + SECONDS

    def loop(worker):
        while changes() < total and time.monotonic() < end:
            before = len(worker.history)
            worker.step()
            if len(worker.history) == before or worker.history[-1]["status"] == 404:
                time.sleep(0.005)  # what is refused at once would else be most of the history
    threads = [threading.Thread(target=loop, args=(w,)) for w in workers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return workers


# -- the explanation --

def explain(histories):
    """None, or the operations at which every attempt to order them came to an end."""
    start = tuple(0 for _ in histories)
    stack = [(start, NOTHING)]
    seen = {(start, NOTHING.key)}
    furthest, where = -1, None
    while stack:
        at, state = stack.pop()
        heads = [(i, histories[i][n]) for i, n in enumerate(at) if n < len(histories[i])]
        if not heads:
            return None
        if sum(at) > furthest:
            furthest, where = sum(at), (state, [op for _, op in heads])
        # What ended before another began comes before it.
        latest = min(op["ended"] for _, op in heads)
        for i, op in heads:
            after = MODEL[op["do"]](state, op) if op["begun"] <= latest else None
            if after is None:
                continue
            to = at[:i] + (at[i] + 1,) + at[i + 1:]
            if (to, after.key) not in seen:
                seen.add((to, after.key))
                stack.append((to, after))
    return where


def test_the_explanation_finds_what_can_not_be():
    def op(do, begun, ended, status, **more):
        return {"do": do, "begun": begun, "ended": ended, "status": status, **more}
    one = op("deploy", 0, 1, 201, mark="a", number=1)
    two = op("deploy", 2, 4, 200, mark="b", number=2)
    assert explain([[one, two], [op("call", 3, 3.5, 200, qualifier=None, mark="a", number=1)]]) is None
    assert explain([[one, two], [op("call", 3, 3.5, 200, qualifier=None, mark="b", number=2)]]) is None
    assert explain([[one, two], [op("call", 5, 6, 200, qualifier=None, mark="a", number=1)]])  # after the second had returned
    assert explain([[one, two], [op("call", 1.2, 1.5, 200, qualifier=None, mark="b", number=2)]])  # before it began
    assert explain([[one, two], [op("call", 5, 6, 404, qualifier=1)]])
    assert explain([[one, op("remove", 2, 3, 404)]])
    assert explain([[one, two, op("rollback", 5, 6, 200, version=0, number=1, **{"from": 2})]]) is None
    assert explain([[one, two, op("rollback", 5, 6, 404, version=0)]])
    assert explain([[one, op("set_alias", 2, 3, 200, alias="x", version=1), op("remove", 4, 5, 200), op("call", 6, 7, 200, qualifier="x", mark="a", number=1)]])


def test_random_operations_on_one_name_can_be_explained():
    print(f"seed {SEED}: FAASD_TEST_MODEL_SEED={SEED} FAASD_TEST_MODEL_OPERATIONS={OPERATIONS}")
    with Faasd({"versions_kept": 1000}) as faasd:
        workers = run(faasd, OPERATIONS)
        histories = [w.history for w in workers]
        strange = [op for h in histories for op in h if op["status"] not in EXPECTED[op["do"]]]
        assert not strange, strange[:5]
        done = {do: sum(op["do"] == do and op["status"] < 300 for h in histories for op in h) for do in MODEL}
        print(f"{done}, {sum(w.conflicts for w in workers)} refused as conflicts")
        assert done["deploy"] and done["call"], done
        stuck = explain(histories)
        assert stuck is None, f"in state {stuck[0].key}: {stuck[1]}"
