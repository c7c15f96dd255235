# SPDX-License-Identifier: Apache-2.0
"""Wall time that jumps ten years forth and back under a daemon that lives: queued calls keep their turn, signatures and tokens follow the clock, logs go on.

The gateway takes nothing from its caller's environment, so the library that shifts its clock is preloaded by an /etc/ld.so.preload in a mount namespace of its own.
"""

import ctypes
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import threading

import pytest

from access import ask, ask_signed, create_token
from harness import REPO, Faasd, wait_until

TEN_YEARS = 10 * 365 * 86400
CLONE_NEWNS, MS_REC_PRIVATE = 0x20000, 0x44000
CONFIG = {"async": {"retry_min": "20ms", "retry_max": "50ms"}, "logs": {"function_bytes": "64K"}}


class Clock:
    def __init__(self, directory):
        self.file = directory / "offset"
        self.file.write_bytes(bytes(8))
        self.etc = directory / "etc"
        self.etc.mkdir()
        library = directory / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", f'-DOFFSET_FILE="{self.file}"', "-o", library, REPO / "tests/integration/preload/clock_shim.c"], check=True)
        (self.etc / "ld.so.preload").write_text(f"{library}\n")
        with self.file.open("r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)

    def shift(self, seconds):
        self.map[:] = struct.pack("<q", seconds)

    def enter(self):
        # Between fork and exec of the daemon.
        libc = ctypes.CDLL(None, use_errno=True)
        layers = f"lowerdir={self.etc}:/etc".encode()
        if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC_PRIVATE, None) or libc.mount(b"overlay", b"/etc", b"overlay", 1, layers):
            raise OSError(ctypes.get_errno(), "an /etc with a library to preload")


@pytest.fixture
def clock():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-clock-"))
    os.chmod(directory, 0o755)
    yield Clock(directory)
    shutil.rmtree(directory)


def queue(faasd, name, body=b"{}"):
    reply = faasd.request("POST", f"/async-function/{name}", body)
    assert reply.status == 202, reply.body
    return reply.json()["id"]


def state(faasd, call):
    return faasd.control("GET", f"/v1/calls/{call}").json()


def year_of(faasd, reply):
    return int(faasd.control("GET", f"/v1/invocations/{reply.headers['X-Request-Id']}").json()["started"][:4])


def bearer(faasd, token):
    return ask(faasd, "loopback", "GET", "/v1/functions", b"", {"Authorization": f"Bearer {token['token']}"}).status


@pytest.mark.row("S7")
def test_ten_years_forth_and_back(clock):
    with Faasd(config=CONFIG, popen={"preexec_fn": clock.enter}) as faasd:
        faasd.listen = [f"{faasd.host}:{faasd.port}"]
        faasd.deploy_script("echo", "#!/bin/sh\ncat\n")
        faasd.deploy_script("slow", "#!/bin/sh\nsleep 1\ncat\n")
        faasd.deploy_script("later", "#!/bin/sh\nexit 3\n", "--async-backoff", "1h", "--async-max-age", "1d")
        faasd.deploy_script("soon", "#!/bin/sh\nexit 3\n", "--async-backoff", "600ms", "--async-retries", "1", "--async-max-age", "1d")
        faasd.deploy_script("loud", "#!/bin/sh\nread n\nfor i in 1 2 3 4 5 6 7 8 9 10; do printf '%s %01000d\\n' \"$n\" 0 >&2; done\n")
        this_year = year_of(faasd, faasd.invoke("echo", b"x"))
        forever, month = create_token(faasd, "admin"), create_token(faasd, "admin", extra=["--expires", "30d"])
        later = queue(faasd, "later")
        wait_until(lambda: state(faasd, later)["attempts"] == 1, "its first attempt is over")
        for shift in (TEN_YEARS, 0, -TEN_YEARS, 0):
            soon = queue(faasd, "soon")
            wait_until(lambda: state(faasd, soon)["attempts"] == 1, "its first attempt is over")
            running = []
            thread = threading.Thread(target=lambda: running.append(faasd.invoke("slow", b"whole")))
            thread.start()
            wait_until(lambda: faasd.describe("slow")["counts"]["busy"] == 1, "it runs")
            clock.shift(shift)
            reply = faasd.invoke("echo", b"after")
            assert reply.body == b"after" and abs(year_of(faasd, reply) - this_year - shift // (365 * 86400)) <= 1
            # a deadline and a pause are no matter of wall time
            thread.join()
            assert (running[0].status, running[0].body) == (200, b"whole")
            wait_until(lambda: state(faasd, soon)["status"] == "failed", "the second attempt came and was the last")
            assert state(faasd, soon)["attempts"] == 2
            waits = state(faasd, later)
            assert waits["status"] == "queued" and waits["attempts"] == 1 and 3000 < waits["nextAttemptSeconds"] <= 3600
            # signatures and tokens that end are
            signed = ask_signed(faasd, "loopback", forever, "GET", "/v1/functions")
            assert signed.status == (401 if shift else 200), (shift, signed.body)
            if shift:
                assert ("Signature expired" if shift > 0 else "Signature not yet current") in signed.json()["errorMessage"]
            assert bearer(faasd, forever) == 200
            assert bearer(faasd, month) == (401 if shift > 0 else 200), shift
            # logs are turned over by their size, several times a jump
            for number in range(20):
                assert faasd.invoke("loud", f"{shift}-{number}\n".encode()).status == 200
            wait_until(lambda: f"{shift}-19 0" in faasd.cli("logs", "loud", "-n", "3").out, "the newest lines are shown")
            kept = sum(p.stat().st_size for p in (faasd.root / "state/logs/loud").iterdir())
            assert 16 << 10 < kept <= 80 << 10, kept
        called = faasd.control("GET", "/v1/calls").json()
        assert called["queued"] == 1
        assert faasd.stop() == 0
        clock.shift(TEN_YEARS)  # while it is down, on a machine that was not started anew
        faasd.start()
        waits = state(faasd, later)
        assert waits["status"] == "queued" and 3000 < waits["nextAttemptSeconds"] <= 3600
        assert faasd.invoke("echo", b"x").body == b"x"
