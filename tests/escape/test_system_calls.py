# SPDX-License-Identifier: Apache-2.0
"""K1 and K18: which system calls reach the kernel under each profile, and that each row of its table holds, bit by bit, inside a sandbox.

The lists in golden/ are what a sweep of all numbers must find, by profile and architecture: a change of a table shows in the diff. tests/unit/sandbox/profile.c holds them
against the tables for both architectures.
"""

import contextlib
import errno
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import rootless  # noqa: E402
from harness import FAASD, PROGRAMS, Faasd, wait_until, within  # noqa: E402

PROGRAM = PROGRAMS / "system_calls"
GOLDEN = pathlib.Path(__file__).parent / "golden"
MOST = {"default": 200, "strict": 45}
# What a sweep with zeros can't tell from a denial.
NOT_SWEPT = {"strict": {"execveat"}, "default": set()}
# uretprobe and uprobe of x86-64: the trampolines that the kernel itself maps into traced processes make them, so it asks no filter (Linux 6.14); from elsewhere they are a SIGILL.
UNFILTERED = {335, 336}


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        for profile in MOST:
            daemon.deploy(profile, PROGRAM, "--runtime", "native", "--seccomp", profile, "--timeout", f"{within(60):.0f}s", "--pids", "256", "--max-concurrency", "1")
        yield daemon


@pytest.fixture(scope="module")
def tables():
    return {profile: json.loads(subprocess.check_output([FAASD, "check", "--system-calls", profile, "--json"])) for profile in MOST}


def names():
    """Number to name, as the kernel's headers have them."""
    found = {451: "cachestat", 452: "fchmodat2"}  # newer than the headers of Debian 12
    for header in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"):
        if platform.machine() == "x86_64" and "generic" in header:
            continue
        if os.path.exists(header):
            for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", pathlib.Path(header).read_text(), re.M):
                found.setdefault(int(number), name)
    return found


def golden(profile):
    return set((GOLDEN / f"{profile}.{platform.machine()}").read_text().split())


@pytest.mark.row("K1")
@pytest.mark.parametrize("profile", MOST)
def test_K1_a_sweep_finds_what_the_list_says(faasd, tables, profile):
    reply = faasd.invoke(profile, b"sweep", timeout=within(60))
    assert reply.status == 200, reply
    known = names()
    reached = {known[number] for number in set(reply.json()) - UNFILTERED} | NOT_SWEPT[profile]
    print(f"\n{profile}: {len(reached)} system calls reach the kernel (Docker's default: 307 of 381, Firecracker: about 50)")
    assert reached == golden(profile), (sorted(reached - golden(profile)), sorted(golden(profile) - reached))
    assert tables[profile]["calls"] == len(reached) <= MOST[profile]
    assert {row["call"] for row in tables[profile]["rows"] if row["answer"] == "allowed"} == reached
    assert all(len(row["reason"]) >= 3 for row in tables[profile]["rows"])


def number_of(text):
    return int(text, 16)


def answer_of(rows, arguments):
    """What the table says to these arguments: the first row of the call whose conditions all hold."""
    for row in rows:
        if all(arguments[c["argument"]] & number_of(c["mask"]) == number_of(c["value"]) for c in row["when"]):
            return "EPERM" if row["answer"] == "told" else row["answer"]  # whoever listens says so
    return "ENOSYS"


def trials(rows):
    """Arguments that meet each row with conditions, then each bit that it looks at turned over, and the upper half of the register set."""
    for row in rows:
        met = [0] * 6
        for c in row["when"]:
            met[c["argument"]] = number_of(c["value"])
        for c in row["when"]:
            yield met
            for bit in range(64):
                if number_of(c["mask"]) >> bit & 1:
                    turned = list(met)
                    turned[c["argument"]] ^= 1 << bit
                    yield turned
            high = list(met)
            high[c["argument"]] |= ~number_of(c["mask"]) & 0xFFFFFFFF00000000
            yield high


# Allowed, these would wait for ever, end the one that asks, or draw more of it.
NOT_CALLED = {"execveat", "clone", "mmap", "mprotect", "personality"}


@pytest.mark.row("K18")
@pytest.mark.parametrize("profile", MOST)
def test_K18_each_row_with_conditions_holds_for_each_bit_of_its_arguments(faasd, tables, profile):
    calls = {}
    for row in tables[profile]["rows"]:
        calls.setdefault(row["call"], []).append(row)
    tried = denied = 0
    for call, rows in calls.items():
        if not any(row["when"] for row in rows):
            continue
        seen = set()
        for arguments in trials(rows):
            said = answer_of(rows, arguments)
            if tuple(arguments) in seen or (said == "allowed" and call in NOT_CALLED) or (said != "allowed" and len(seen) > 40 and profile == "default"):
                continue
            seen.add(tuple(arguments))
            event = f"call {rows[0]['number']} " + " ".join(hex(a) for a in arguments)
            got = int(faasd.invoke(profile, event.encode()).body)
            tried += 1
            if said == "killed":
                assert got == -31, (call, arguments)
            elif said != "allowed":
                denied += 1
                assert got == getattr(errno, said), (call, [hex(a) for a in arguments], said, got)
            else:
                assert got not in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT), (call, [hex(a) for a in arguments], got)
    print(f"\n{profile}: {tried} trials, {denied} denied")
    assert denied > 100 and tried > denied


def make(faasd, function, what):
    reply = faasd.invoke(function, f"make {what}".encode())
    assert reply.status == 200, reply
    return int(reply.body)


WORKS = ["file", "thread", "child"]
DENIED = [("wx", errno.EACCES), ("mprotect", errno.EACCES), ("exec", errno.EPERM), ("exec-at", errno.EPERM), ("exec-guess", errno.EPERM),
          ("socket", errno.EPERM), ("proc", errno.ENOENT)]


@pytest.mark.parametrize("what", WORKS)
def test_strict_leaves_what_native_code_lives_on(faasd, what):
    assert make(faasd, "strict", what) == 0


@pytest.mark.parametrize("what,error", DENIED, ids=[what for what, _ in DENIED])
def test_strict_takes_what_the_default_gives(faasd, what, error):
    assert make(faasd, "strict", what) == error
    assert make(faasd, "default", what) == 0


def network(pid):
    return pathlib.Path(f"/proc/{pid}/net/if_inet6").read_text(), pathlib.Path(f"/proc/{pid}/net/fib_trie").read_text()


def networks_held(faasd):
    """By the supervisor: the host's, and those made ahead for the next starts."""
    found = set()
    for fd in os.listdir(f"/proc/{faasd.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(f"/proc/{faasd.pid}/fd/{fd}")
            found |= {link} if link.startswith("net:") else set()
    return found


def end_instance(faasd, profile):
    pid = faasd.instances(profile)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not faasd.instances(profile), "the instance has ended")


@pytest.mark.parametrize("profile,is_up", [("strict", False), ("default", True)])
def test_the_loopback_of_strict_is_down(faasd, profile, is_up):
    """In the network that a deploy's first instance made itself, and in one that was made ahead, where lo was up."""
    for ahead in (False,) if rootless.ON else (False, True):  # an ordinary user's daemon makes none ahead
        if ahead:
            end_instance(faasd, profile)
            stock = wait_until(lambda: len(networks_held(faasd)) == 3 and networks_held(faasd), "two are made ahead")
        faasd.invoke(profile, b"make file")
        pid = faasd.instances(profile)[0]["pid"]
        assert not ahead or os.readlink(f"/proc/{pid}/ns/net") in stock
        addresses = "".join(network(pid))
        assert ("127.0.0.1" in addresses) == is_up, (profile, ahead, addresses)


def test_no_key_is_shown_to_the_hosts_users(faasd):
    """Init is told by an argument what lets it execute: it must not stay where everybody reads it."""
    faasd.invoke("strict", b"make file")
    pid = faasd.instances("strict")[0]["pid"]
    said = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert said[:2] == [b"init", b"worker"] and set(said[2]) == set(b"-"), said


def test_strict_is_refused_to_who_cannot_live_in_it(faasd, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    done = faasd.cli("deploy", "snake", tmp_path / "app.py", "--runtime", "python", "--seccomp", "strict", check=False)
    assert done.returncode != 0 and "strict is for runtime native" in done.err
    done = faasd.cli("config", "strict", "--isolation", "fork", check=False)
    assert done.returncode != 0 and "exclude each other" in done.err
    reply = faasd.control("POST", "/v1/functions/strict/shell")
    assert "strict" in reply.json()["errorMessage"], reply


def test_an_unknown_profile_is_a_usage_error():
    done = subprocess.run([FAASD, "check", "--system-calls", "docker"], capture_output=True, text=True)
    assert done.returncode == 2 and "default, strict, shell, template" in done.stderr
    done = subprocess.run([FAASD, "check", "--system-calls", "strict"], capture_output=True, text=True)
    assert done.returncode == 0 and "allows 45 system calls" in done.stdout and "307 of 381" in done.stdout
