# SPDX-License-Identifier: Apache-2.0
"""scripts/simulate with a trace of one's own."""

import subprocess

import pytest

from harness import REPO


def simulate(*arguments):
    return subprocess.run([REPO / "scripts" / "simulate", *arguments], capture_output=True, text=True, timeout=60)


def test_requests_every_25_minutes_start_cold_after_a_fixed_keep_alive_and_not_with_the_policy(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text("".join(f"{1500 * n} 0.2\n" for n in range(1, 201)))
    done = simulate("--trace", trace)
    assert done.returncode == 0, done.stderr
    name, count, fixed_cold, cold, fixed_memory, memory = done.stdout.splitlines()[-1].split()
    assert (name, count, fixed_cold) == ("trace", "1", "100.00%")
    assert float(cold.rstrip("%")) < 10 and float(memory) < float(fixed_memory)


@pytest.mark.parametrize("text,said", [
    ("60 0.1\n120\n", ":2: '120' is not SECONDS DURATION"), ("60 x\n", ":1: '60 x' is not"), ("0 1\n", ":1: '0 1' is not"), ("1 2 3\n", "is not SECONDS"),
    ("nan 1\n", "is not SECONDS"), ("1 inf\n", "is not SECONDS"), ("-5 1\n", "the first above 0"), ("1 -1\n", "is not SECONDS"), ("\n\n", "has no requests"),
])
def test_a_trace_that_is_none_is_refused_by_its_line(tmp_path, text, said):
    trace = tmp_path / "trace"
    trace.write_text(text)
    done = simulate("--trace", trace)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("option,value,said", [
    ("--trace", "/nonexistent", "can't be read"), ("--seeds", "7", "is not FIRST-LAST"), ("--seeds", "9-3", "is not FIRST-LAST"), ("--seeds", "a-b", "is not FIRST-LAST"),
])
def test_options_that_mean_nothing_are_refused(option, value, said):
    done = simulate(option, value)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
