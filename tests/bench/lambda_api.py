# SPDX-License-Identifier: Apache-2.0
"""Lambda's API beside faasd's own: what Invoke costs over /function/NAME, and how long boto3 waits from CreateFunction to the first answer."""

import io
import statistics
import subprocess
import time
import zipfile

OVERHEAD = 1.10  # of Invoke
FIRST_MS = 300
CODE = "def handler(event, context):\n    return {{'hello': event['name'], 'number': {0}}}\n"


def targets(token):
    """The same instance of the same function, the same event, the same token, which both look at."""
    fields = ["-H", f"Authorization: Bearer {token['token']}"]
    return {"function": ("/function/hello", fields), "invoke": ("/2015-03-31/functions/hello/invocations", fields)}


def warm(daemon, token, options, load, note):
    """By turns, so that a slow moment meets both: what counts is the median of the rounds' ratios."""
    results = {}
    for connections in (1, 16):
        taken = {name: [] for name in targets(token)}
        for number in range(options.rounds):
            note(f"  Invoke beside /function/, {connections} connection{'s' if connections > 1 else ''}, round {number + 1} of {options.rounds}")
            for name, (path, fields) in targets(token).items():
                taken[name].append(load(daemon, path, connections, options.seconds, fields))
        pairs = list(zip(taken["invoke"], taken["function"]))
        results[connections] = {
            "p50_ratio": statistics.median(a["p50_us"] / b["p50_us"] for a, b in pairs),
            "time_ratio": statistics.median(b["rps"] / a["rps"] for a, b in pairs),
            **{name: {k: statistics.median(r[k] for r in rounds) for k in ("p50_us", "p99_us", "rps")} for name, rounds in taken.items()}}
    return results


def zip_of(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", text)
    return out.getvalue()


def first_answers(daemon, token, samples, note):
    """A client that exists already: CreateFunction, the waiter that boto3 has for it, Invoke. Each time another function of other bytes."""
    from lambda_client import client
    aws = client(daemon, token)
    runtime = f"python3.{subprocess.run(['/usr/bin/python3', '-c', 'import sys; print(sys.version_info.minor)'], capture_output=True, text=True, check=True).stdout.strip()}"
    note(f"  CreateFunction to the first answer, {samples} samples")
    taken = []
    for number in range(samples + 1):
        code = zip_of(CODE.format(number))
        began = time.monotonic_ns()
        aws.create_function(FunctionName=f"first{number}", Runtime=runtime, Role="arn:aws:iam::000000000000:role/r", Handler="app.handler", Code={"ZipFile": code})
        aws.get_waiter("function_active_v2").wait(FunctionName=f"first{number}")
        answer = aws.invoke(FunctionName=f"first{number}", Payload=b'{"name":"world"}')["Payload"].read()
        taken.append(time.monotonic_ns() - began)
        assert answer == b'{"hello": "world", "number": %d}' % number, answer
        aws.delete_function(FunctionName=f"first{number}")
    return taken[1:]  # with the first boto3 loads its models


def measure(options, load, summary, note):
    from access import create_token
    from harness import HELLO, Faasd
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native", "--auth", "token")
        token = create_token(daemon, "admin")
        results = {"warm": warm(daemon, token, options, load, note)}
        results["first_answer"] = summary(first_answers(daemon, token, options.samples, note))
    return results


def show(r):
    print(f"\n{'Invoke beside /function/, warm':34}{'p50 us':>9}{'p99 us':>9}{'req/s':>9}")
    for connections, row in r["warm"].items():
        for name, label in (("function", "/function/hello"), ("invoke", "Invoke of hello")):
            print(f"{label + f' ({connections})':34}{row[name]['p50_us']:9.1f}{row[name]['p99_us']:9.1f}{row[name]['rps']:9.0f}")
    first = r["first_answer"]
    print(f"{'boto3: CreateFunction to answer':34}{first['p50_ms']:9.1f}{first['p90_ms']:9.1f}{first['max_ms']:9.1f}   ms: p50, p90, max")


def musts(r):
    """Name, value, limit, whether it holds."""
    one, many, first = r["warm"][1]["p50_ratio"], r["warm"][16]["time_ratio"], r["first_answer"]["p50_ms"]
    return [("Invoke's p50 beside /function/, 1 connection", f"{one:.2f}x", f"<= {OVERHEAD:.2f}x", one <= OVERHEAD),
            ("time of a request beside /function/, 16 connections", f"{many:.2f}x", f"<= {OVERHEAD:.2f}x", many <= OVERHEAD),
            ("boto3, CreateFunction to first answer", f"{first:.0f} ms", f"<= {FIRST_MS} ms", first <= FIRST_MS)]
