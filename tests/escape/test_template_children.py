# SPDX-License-Identifier: Apache-2.0
"""The attacks of test_escape.py again from forked children, and what children add (Z rows): siblings, equal random numbers, a template's own lies.

That each probe reports OPEN outside is test_escape.py's to show for the common rows; the rows that are new here show it themselves.
"""

import collections
import concurrent.futures
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

import paths  # noqa: F401  (makes harness importable)
from harness import BUILD, PROBE, PROGRAMS, SLOW, Faasd, brief, cgroup_directories, is_alive, wait_until, within  # noqa: E402
from outside import SOON_S, argument_of, lives  # noqa: E402
from rows import MISBEHAVIOURS, ROWS, SIBLING_ROWS  # noqa: E402
from test_escape import AS_NOBODY, bare_output, targets, the_outside_stays_whole  # noqa: E402, F401  (fixtures)

# The filter leaves a child what it needs before its first request: the kernel refuses both, because it has no capability any more. There are init, the template, of each of
# its eight slots the last child, dead ones among them until the slot is used again, and the program that one of them started: on a slow machine each slot is used.
ARGUMENTS = {"K1": "chroot capset", "P1": "11"}
HOW = ("", "exec ")
# What the process that runs the probe can't survive or is not the same in, for a program that a child starts.
ONLY_IN_THE_CHILD = {"P2": "its parent would be the function itself, which it may stop"}


def is_tried(row, how):
    """A program that a child starts has the child's filter, whatever the call: the sweep shows it for all of them."""
    return not how or row.id not in ONLY_IN_THE_CHILD and (row.id == "K1" or not row.id.startswith("K"))


ATTACKS = [pytest.param(row, how, id=f"{row.id}-{'program' if how else 'itself'}") for row in ROWS for how in HOW if row.id != "N6" and is_tried(row, how)]


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        daemon.deploy("hello", BUILD / "examples" / "hello", "--runtime", "native")
        daemon.deploy("child", PROBE, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2", "--timeout", f"{within(60):.0f}s")
        daemon.deploy("worker", PROBE, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "1", "--timeout", "2s")
        # F18: as in test_escape.py, one function has a secret all the while, and the one that attacks has another
        for name in ("own", "kept"):
            daemon.cli("secret", "set", name, input=b"hush")
        daemon.deploy("keeper", BUILD / "examples" / "hello", "--runtime", "native", "--min-warm", "1", "--secret", "kept")
        daemon.cli("config", "child", "--secret", "own")
        for name in ("child", "worker"):
            assert "noTemplate" not in daemon.describe(name), daemon.cli("describe", name).out
        yield daemon
        assert daemon.process.poll() is None, daemon.log_text()


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


def template_of(faasd, name="child"):
    return wait_until(lambda: [i for i in faasd.instances(name) if i["state"] == "template"], "there is a template")[0]["id"]


def ask(faasd, line, name="child"):
    reply = faasd.invoke(name, line.encode(), timeout=within(90))
    if reply.status == 200:
        assert reply.headers["X-Faasd-Start"] in ("warm", "fork", "cold")
        return reply.json()
    return {"result": reply.error, "detail": reply.json()["errorMessage"]}


def test_the_probe_runs_in_a_forked_child(faasd):
    """Three requests, three processes, one parent, which is not pid 1; each has its own groups."""
    found = [ask(faasd, "P7") for _ in range(3)]
    assert len({f["pid"] for f in found}) == 3 and {f["parent"] for f in found} != {1}
    assert len({f["parent"] for f in found}) == 1, found


@pytest.mark.row("Z")
@pytest.mark.parametrize("row, how", ATTACKS)
def test_attack(faasd, targets, row, how):  # noqa: F811
    argument = argument_of(row, targets) or ARGUMENTS.get(row.id, "")
    if row.id == "F16":
        for _ in range(20):  # every slot has been somebody's
            ask(faasd, how + "F16 write")
    found = ask(faasd, f"{how}{row.id} {argument}".strip())
    assert found["result"] in row.inside.split(" or ") or (how and found["result"] == "FunctionCrashed" and "FunctionCrashed" in row.inside), found
    if row.leaves:
        wait_until(lambda: not lives(argument, SOON_S), "what it left behind is gone with the child", within(1))


@pytest.mark.row("N6")
def test_N6_another_function_s_port(faasd):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        listener = pool.submit(ask, faasd, "N6 listen")
        wait_until(lambda: [i for i in faasd.instances("child") if i["state"] == "busy"], "the listener runs")
        found = ask(faasd, "N6 connect", "worker")
        assert listener.result()["result"] == "DENIED"
    assert found["result"] == "DENIED", found


@pytest.mark.row("Z")
@pytest.mark.parametrize("row,how,answers", MISBEHAVIOURS, ids=[f"{m[0]}-{m[1]}" for m in MISBEHAVIOURS])
def test_a_child_that_misbehaves(faasd, row, how, answers):
    """Whatever it says, the next request has a child of its own: nothing that it says too late or too much reaches it."""
    began = time.monotonic()
    reply = faasd.invoke("worker", f"misbehave {how}".encode())
    assert (reply.error if reply.error else None) in answers, reply
    assert time.monotonic() - began < within(15)
    assert "X-Injected" not in reply.headers
    again = faasd.invoke("worker", b"misbehave be good")
    assert (again.status, again.body) == (200, b"fine"), again


# ---- Z2: siblings ----


@pytest.fixture(scope="module")
def bare_victim():
    """As nobody, outside: what the sibling rows can do to a process of the same user."""
    with tempfile.TemporaryDirectory(prefix="faasd-bare-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        program = pathlib.Path(directory, "probe")
        program.write_bytes(PROBE.read_bytes())
        program.chmod(0o755)
        # In a network of its own: the socket's name is that of every victim.
        victim = subprocess.Popen(["unshare", "--net", "--", *AS_NOBODY, program, "Z2victim", "600"], cwd=directory, stdout=subprocess.PIPE)
        wait_until(lambda: pathlib.Path(f"/proc/{victim.pid}/comm").read_text() == "probe\n"
                   and "z2-victim" in pathlib.Path(f"/proc/{victim.pid}/net/unix").read_text(), "the victim listens")
        yield victim.pid
        victim.kill()
        victim.wait()
        pathlib.Path("/tmp/z2-secret").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def pair(faasd):
    if landlock_abi() < 6:
        pytest.skip(f"the kernel's Landlock has ABI {landlock_abi()}: a template has one child at a time before 6")
    faasd.deploy("pair", PROBE, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "4", "--timeout", f"{within(60):.0f}s")
    return faasd


@pytest.fixture(scope="module")
def outside(bare_victim):
    """What each sibling row finds against a process of the same user without a sandbox."""
    return {row.id: json.loads(bare_output(row.id, str(bare_victim), within_network=bare_victim)) for row in SIBLING_ROWS if row.bare}


@pytest.mark.parametrize("row", [row for row in SIBLING_ROWS if row.bare], ids=lambda row: row.id)
def test_outside_a_process_of_the_same_user_is_open(outside, row):
    assert outside[row.id]["result"] == "OPEN", f"bare, the probe reports {outside[row.id]}: it proves nothing"


def test_outside_a_victim_sees_what_reaches_it():
    """What only the victim can tell (F_SETOWN), bare."""
    with tempfile.TemporaryDirectory(prefix="faasd-bare-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        program = pathlib.Path(directory, "probe")
        program.write_bytes(PROBE.read_bytes())
        program.chmod(0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": directory, "stdout": subprocess.PIPE}
        # A network namespace of its own: the socket's name is the same as that of the other victim.
        victim = subprocess.Popen(["unshare", "--net", "--", *AS_NOBODY, program, "Z2victim", "2"], cwd=directory, stdout=subprocess.PIPE)
        wait_until(lambda: "SigCgt:\t0000000000000000" not in pathlib.Path(f"/proc/{victim.pid}/status").read_text()
                   and pathlib.Path(f"/proc/{victim.pid}/comm").read_text().strip() == "probe", "the victim is ready")
        subprocess.run([program, "Z2owner", str(victim.pid)], check=True, **nobody)
        assert json.loads(victim.communicate(timeout=within(30))[0])["result"] == "OPEN"


@pytest.mark.row("Z2")
@pytest.mark.parametrize("victim", HOW, ids=["itself", "program"])
@pytest.mark.parametrize("attacker", HOW, ids=["itself", "program"])
def test_siblings_cannot_reach_each_other(pair, outside, record_property, victim, attacker):
    """One child lives through all attacks of others: then it tells what it saw. Programs that a child starts are dumpable, and no less apart."""
    template = template_of(pair, "pair")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        attacked = pool.submit(ask, pair, f"{victim}Z2victim {within(4):.0f}", "pair")
        wait_until(lambda: [i for i in pair.instances("pair") if i["state"] == "busy"], "the victim lives")
        time.sleep(0.1)
        found = {row.id: ask(pair, f"{attacker}{row.id}", "pair") for row in SIBLING_ROWS}
        assert not attacked.done(), "the victim did not live to see all of it"
        result = attacked.result()
    for row in SIBLING_ROWS if not victim and not attacker else []:
        seen = "OPEN" if not row.bare else outside[row.id]["result"]  # a victim tells of the others: test_outside_a_victim_sees_what_reaches_it
        record_property("attack", [row.id, row.attack, seen, "DENIED", f"{found[row.id]['result']} {found[row.id]['detail'][:90]}"])
    assert {row: f for row, f in found.items() if f["result"] != "DENIED"} == {}
    assert result["result"] == "DENIED", result
    assert template_of(pair, "pair") == template, "not of one template"


# ---- Z1: random numbers ----

FORKS = 10_000 if SLOW == 1 else 200
# The seeds of rand() and random() have 32 bits: in 10,000 draws one pair is equal every eighty runs.
EQUAL_SEEDS = 3

GENERATORS_PYTHON = """
import os, random, secrets, ssl, tempfile, uuid
random.random(), secrets.token_bytes(1), ssl.RAND_bytes(1), uuid.uuid1(), uuid.uuid4()
name = next(tempfile._get_candidate_names())


def handler(event, context):
    return {"random": random.random(), "bits": random.getrandbits(64), "secrets": secrets.token_hex(16), "ssl": ssl.RAND_bytes(16).hex(), "uuid1": str(uuid.uuid1()),
            "uuid4": str(uuid.uuid4()), "urandom": os.urandom(16).hex(), "tempfile": next(tempfile._get_candidate_names()), "system": random.SystemRandom().random()}
"""


@pytest.mark.row("Z1")
@pytest.mark.parametrize("runtime", ["native", "python"])
def test_Z1_no_two_forks_draw_the_same(faasd, tmp_path, runtime):
    if runtime == "native":
        path = PROGRAMS / "generators"
    else:
        path = tmp_path
        (tmp_path / "app.py").write_text(GENERATORS_PYTHON)
    faasd.deploy("drawn", path, "--runtime", runtime, "--isolation", "fork", "--max-concurrency", "4", "--memory", "128M")
    seen = collections.defaultdict(collections.Counter)

    def draw(count):
        return [faasd.invoke("drawn", b"{}").json() for _ in range(count)]

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        for drawn in clients.map(draw, [FORKS // 4] * 4):
            for values in drawn:
                for name, value in values.items():
                    seen[name][value] += 1
    assert {"rand", "random", "drand48", "seed", "getrandom"} <= seen.keys() if runtime == "native" else len(seen) == 9
    assert sum(seen["random"].values()) == FORKS // 4 * 4
    twice = {name: sum(n - 1 for n in values.values()) for name, values in seen.items()}
    assert {n: t for n, t in twice.items() if t > (EQUAL_SEEDS if n in ("rand", "random") and runtime == "native" else 0)} == {}
    assert "noTemplate" not in faasd.describe("drawn")


# ---- Z3: what can't be forked ----

HAZARDS = {"thread": "2 threads are running", "file": "descriptor 4 is open", "eventfd": "eventfd", "memory": "shared after init"}


@pytest.mark.row("Z3")
@pytest.mark.parametrize("hazard", HAZARDS)
def test_Z3_what_would_be_shared_is_not_forked(faasd, hazard):
    name = f"unforkable-{hazard}"
    faasd.deploy(name, PROGRAMS / "unforkable", "--runtime", "native", "--isolation", "fork", "--env", f"HAZARD={hazard}")
    assert [faasd.invoke(name).body for _ in range(3)] == [b"0"] * 3
    shown = faasd.describe(name)
    assert HAZARDS[hazard] in shown.get("noTemplate", ""), shown
    assert not [i for i in faasd.instances(name) if i["state"] == "template"]


# ---- Z4: a template that lies ----


@pytest.fixture(scope="module")
def liar(tmp_path_factory):
    with Faasd({"init_timeout": f"{brief(1):.0f}s", "crash_backoff": "100ms"}) as daemon:
        directory = tmp_path_factory.mktemp("liar")
        shutil.copy(PROGRAMS / "liar", directory)
        daemon.deploy("hello", BUILD / "examples" / "hello", "--runtime", "native")
        daemon.deploy("liar", directory, "--handler", "liar", "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2", "--timeout", "5s")
        yield daemon, pathlib.Path(daemon.root) / "state/versions" / daemon.describe("liar")["code"] / "hostile"
        assert daemon.process.poll() is None, daemon.log_text()
        assert daemon.invoke("hello", b"{}").status == 200
        for name in ("liar", "hello"):
            daemon.cli("rm", name)
        wait_until(lambda: not daemon.sandbox_pids() and not cgroup_directories("liar"), "nothing is left")


@pytest.mark.row("Z4")
@pytest.mark.parametrize("how", ["stranger", "template", "capable", "younger", "unlogged", "flood", "hang", "exit"])
def test_Z4_a_template_that_lies_is_found_out(liar, how):
    """Its children are killed and it is replaced; a request that met it is answered."""
    faasd, switch = liar
    gateway = faasd.gateway_pid()
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves before")
    before = faasd.instances("liar")
    switch.write_text(how)
    answers = [faasd.invoke("liar") for _ in range(3)]
    switch.unlink()
    # 504: a start that hangs, with the limit's name
    assert {a.status for a in answers} <= {200, 500, 502, 504}, answers
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves after")
    old = [i for i in before if i["state"] == "template"]
    wait_until(lambda: not [i for i in faasd.instances("liar") if i["id"] in {o["id"] for o in old}], f"the liar is gone: {answers}")
    assert not any(is_alive(o["pid"]) for o in old)
    assert faasd.gateway_pid() == gateway


@pytest.mark.row("Z4")
def test_Z4_a_child_that_is_ready_twice_is_one_child_lost(liar):
    faasd, switch = liar
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves before")
    switch.write_text("twice")
    answers = [faasd.invoke("liar").status for _ in range(4)]
    switch.unlink()
    assert set(answers) <= {200, 502}, answers
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves after")


@pytest.mark.row("Z4")
def test_Z4_a_template_that_forks_on_its_own_is_bounded(liar):
    """What it forks is in its own group, under its pids limit, and ends with it: the next one serves."""
    faasd, switch = liar
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves before")
    switch.write_text("crowd")
    answers = [faasd.invoke("liar") for _ in range(3)]
    switch.unlink()
    assert {a.status for a in answers} <= {200, 500, 502, 504}, answers
    faasd.deploy("liar2", BUILD / "examples" / "hello", "--runtime", "native")
    assert faasd.invoke("liar2").status == 200
    faasd.cli("rm", "liar2")
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves after")


# ---- Z5: searching the layout ----

CRASHES = int(1000 / SLOW)


@pytest.mark.row("Z5")
def test_Z5_a_thousand_crashes_never_learn_a_layout(liar):
    """Children share their template's layout. A crash retires it, so each layout can be tried as often as it has children, which are few."""
    faasd, _ = liar
    wait_until(lambda: faasd.invoke("liar").status == 200, "it serves before")
    tried = collections.Counter()
    for _ in range(CRASHES):
        layout = faasd.invoke("liar")
        assert layout.status == 200, layout
        reply = faasd.invoke("liar", b"crash")
        assert (reply.status, reply.error) == (502, "FunctionCrashed"), reply
        tried[layout.body] += 1
    assert max(tried.values()) <= 4, tried.most_common(5)
    assert len(tried) >= CRASHES // 4


# ---- Z6: what a request leaves to the next ----


@pytest.mark.row("Z6")
def test_Z6_nothing_of_a_request_is_in_the_next(faasd):
    faasd.deploy("leaver", PROGRAMS / "leaver", "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2")
    answers = []

    def client(number):
        for i in range(int(100 / SLOW)):
            answers.append(faasd.invoke("leaver", f"SECRET-{number:02}{i:06}".encode()).body)

    with concurrent.futures.ThreadPoolExecutor(2) as clients:
        list(clients.map(client, range(2)))
    assert len(set(answers)) == 1, collections.Counter(answers)
    first = json.loads(answers[0])
    assert [first[k] for k in ("memory", "env", "handler", "blocked", "timer", "tmp", "shm", "umask", "cwd")] == [0] * 7 + [18, "/var/task"], first


# ---- what all of it leaves ----


@pytest.mark.row("I13")
def test_one_child_in_ten_crashes_and_nothing_is_left(liar):
    """Four clients at once. A child that was on its way when its template was retired is no failed start of the function: such failures end in a pause."""
    faasd, _ = liar
    gateway = faasd.gateway_pid()
    faasd.deploy("crashing", PROGRAMS / "liar", "--runtime", "native", "--isolation", "fork", "--max-concurrency", "4")
    answers = collections.Counter()

    def descriptors():
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (faasd.pid, gateway)]

    def client(_):
        for i in range(int(500 / SLOW)):
            crash = i % 10 == 0
            answers[crash, faasd.invoke("crashing", b"crash" if crash else b"").status] += 1

    def run():
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            list(clients.map(client, range(4)))
        faasd.cli("rm", "crashing")
        wait_until(lambda: not cgroup_directories("crashing"), "its cgroups are gone")
        return descriptors()

    before = run()
    faasd.deploy("crashing", PROGRAMS / "liar", "--runtime", "native", "--isolation", "fork", "--max-concurrency", "4")
    after = run()
    assert set(answers) == {(True, 502), (False, 200)}, answers
    assert all(a <= b + 8 for a, b in zip(after, before)), (before, after)
    assert not [line for line in faasd.log if "did not start fn=crashing" in line]
    assert faasd.gateway_pid() == gateway
