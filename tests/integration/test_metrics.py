# SPDX-License-Identifier: Apache-2.0
"""GET /metrics by format and by value, who may read it; traces in and out; the access log."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from harness import DEADLINE, HELLO, Faasd, Reply, UnixHTTPConnection, wait_until

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'^({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)+)\}})? (-?[0-9.e+-]+|[+-]Inf|NaN)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{family: {"type", "help", "samples": {(name, labels): value}}}; fails where the text breaks the format 0.0.4."""
    assert text.endswith("\n")
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families, f"{name} is there twice"
            current = families[name] = {"help": words, "samples": {}}
            continue
        if line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert families[name] is current and not current["samples"]
            assert kind in ("counter", "gauge", "histogram")
            current["type"] = kind
            continue
        found = SAMPLE.match(line)
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        family = re.sub("_(bucket|sum|count)$", "", name) if current and current["type"] == "histogram" else name
        assert families.get(family) is current, f"{name} stands outside its family"
        key = (name, tuple(LABEL.findall(labels or "")))
        assert key not in current["samples"], f"{line!r} is there twice"
        current["samples"][key] = float(value)
    for name, family in families.items():
        if family["type"] == "counter":
            assert name.endswith("_total"), name
        if family["type"] == "histogram":
            check_histogram(name, family["samples"])
    return families


def check_histogram(name, samples):
    series = {}
    for (sample, labels), value in samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        series.setdefault(rest, {})[sample if sample != name + "_bucket" else dict(labels)["le"]] = value
    for labels, values in series.items():
        buckets = [(float(le.replace("+Inf", "inf")), n) for le, n in values.items() if not le.startswith(name)]
        assert buckets == sorted(buckets), labels
        assert [n for _, n in buckets] == sorted(n for _, n in buckets), f"{labels}: the counts are not cumulative"
        assert buckets[-1][0] == float("inf") and buckets[-1][1] == values[name + "_count"]
        assert name + "_sum" in values


def scrape(faasd):
    reply = faasd.request("GET", "/metrics")
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = reply.body.decode()
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stdout + done.stderr
    return parse(text)


def value(families, name, **labels):
    family = re.sub("_(bucket|sum|count)$", "", name)
    samples = families.get(name, families.get(family))["samples"]
    return samples.get((name, tuple(labels.items())))


def outcomes(families, function):
    return {dict(labels)["outcome"]: n for (_, labels), n in families["faasd_invocations_total"]["samples"].items() if dict(labels)["function"] == function and n}


def test_what_was_called_is_what_is_counted():
    with Faasd() as faasd:
        faasd.deploy_script("mixed", "#!/bin/sh\nread line\ncase $line in error) exit 1 ;; slow) sleep 20 ;; crash) kill -SEGV $$ ;; esac\n", "--timeout", "500ms")
        for word, count, status in ((b"good\n", 70, 200), (b"error\n", 20, 500), (b"slow\n", 10, 504), (b"crash\n", 3, 502)):
            for _ in range(count):
                assert faasd.invoke("mixed", word).status == status
        families = scrape(faasd)
        assert outcomes(families, "mixed") == {"succeeded": 70, "function_error": 20, "timed_out": 10, "crashed": 3}
        assert value(families, "faasd_invocation_run_seconds_count", function="mixed") == 103
        assert value(families, "faasd_invocation_queue_seconds_count", function="mixed") == 103
        assert value(families, "faasd_invocation_run_seconds_sum", function="mixed") >= 10 * 0.5
        below = value(families, "faasd_invocation_run_seconds_bucket", function="mixed", le="0.25")
        assert below is not None and below <= 93
        cold = value(families, "faasd_cold_starts_total", function="mixed")
        assert cold == (value(families, "faasd_invocation_init_seconds_count", function="mixed") or 0)
        assert value(families, "faasd_function_cpu_seconds_total", function="mixed") > 0
        wait_until(lambda: value(scrape(faasd), "faasd_instances", function="mixed", state="idle") == len(faasd.instances("mixed")) > 0, "instances are counted by state")
        for name in ("faasd_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds", "process_max_fds"):
            assert families[name]["samples"], name
        # the same numbers as the daemon's own counters
        assert faasd.describe("mixed")["counters"]["succeeded"] == 70


def test_a_function_that_goes_and_comes_back_counts_on():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO)
        faasd.invoke("hello", b"{}")
        faasd.cli("rm", "hello")
        assert outcomes(scrape(faasd), "hello") == {"succeeded": 1}
        faasd.deploy("hello", HELLO)
        faasd.invoke("hello", b"{}")
        assert outcomes(scrape(faasd), "hello") == {"succeeded": 2}


def test_series_are_bounded_and_nothing_is_lost():
    with Faasd(config={"metrics_functions": 3}) as faasd:
        for i in range(5):
            faasd.deploy(f"f{i}", HELLO)
            for _ in range(i + 1):
                faasd.invoke(f"f{i}", b"{}")
        faasd.deploy("_other", HELLO)  # a name like the label's is no second series
        faasd.invoke("_other", b"{}")
        families = scrape(faasd)
        functions = {dict(labels)["function"] for (_, labels) in families["faasd_invocations_total"]["samples"]}
        assert functions == {"f0", "f1", "f2", "_other"}
        assert outcomes(families, "_other") == {"succeeded": 4 + 5 + 1}
        assert value(families, "faasd_instances", function="_other", state="idle") + value(families, "faasd_instances", function="_other", state="frozen") >= 3
        # one that is removed makes way for one that comes, and its counts stay in the sum
        faasd.cli("rm", "f2")
        faasd.deploy("late", HELLO)
        faasd.invoke("late", b"{}")
        families = scrape(faasd)
        assert outcomes(families, "late") == {"succeeded": 1} and outcomes(families, "f2") == {}
        assert outcomes(families, "_other") == {"succeeded": 4 + 5 + 1 + 3}


def test_a_reload_changes_no_count():
    with Faasd(config={"records": {"event_bytes": 0}}) as faasd:
        faasd.deploy("hello", HELLO)
        faasd.invoke("hello", b"{}")
        faasd.write_config({"metrics_functions": 1})
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is in use" in faasd.log_text(), "it is read again")
        faasd.deploy("second", HELLO)
        faasd.invoke("second", b"{}")
        families = scrape(faasd)
        assert outcomes(families, "hello") == {"succeeded": 1}
        assert outcomes(families, "_other") == {"succeeded": 1}


# -- who may --

def ask(address, path="/metrics", **headers):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), DEADLINE) as s:
        fields = {"Host": address, **{name.replace("_", "-"): v for name, v in headers.items()}}
        s.sendall((f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "Connection: close\r\n\r\n").encode())
        data = b""
        while piece := s.recv(65536):
            data += piece
    return int(data.split(b" ")[1]), data


def own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


def test_who_may_read_metrics():
    with Faasd(args=["--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0", "--metrics-listen", "127.0.0.1:0"]) as faasd:
        loopback, everywhere = faasd.listen
        metrics = re.search(r" metrics=(\S+)", faasd.ready_line).group(1)
        everywhere = everywhere.replace("0.0.0.0", "127.0.0.1")
        assert ask(loopback)[0] == 200
        assert faasd.control("GET", "/metrics").status == 200
        # a listener that is not loopback's: by whatever address it is reached
        status, text = ask(everywhere)
        assert status == 401 and b"X-Faasd-Error: Unauthorized" in text  # a token of scope read opens it: docs/ACCESS.md
        connection = UnixHTTPConnection(faasd.invoke_path)
        connection.request("GET", "/metrics")
        assert Reply(connection.getresponse()).status == 403
        # browsers
        assert ask(loopback, Host="evil.example")[0] == 421
        assert ask(loopback, Origin="http://evil.example")[0] == 403
        assert ask(loopback, Sec_Fetch_Site="cross-site")[0] == 403
        # the address of its own: metrics and health for whoever reaches it by whatever name, nothing else
        assert ask(metrics)[0] == 200
        assert ask(metrics, Host="prometheus-target.example")[0] == 200
        assert ask(metrics, "/healthz")[0] == 200
        faasd.deploy("hello", HELLO)
        for path in ("/function/hello", "/v1/functions", "/v1/invocations", "/v1/bill", "/"):
            assert ask(metrics, path)[0] == 403, path
        assert ask(loopback, "/v1/invocations")[0] == 401  # names and ids are control's


def test_a_metrics_address_that_is_none_is_refused():
    faasd = Faasd()
    for bad in ("9100", "unix:/tmp/x", "example.org:9100", "127.0.0.1"):
        done = faasd.cli("serve", "--metrics-listen", bad, "--check-config", check=False)
        assert done.returncode == 2 and bad in done.err, done.err
    shutil.rmtree(faasd.root)


# -- traces --

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"

CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s|%s|%s|%s' "$HTTP_TRACEPARENT" "$HTTP_TRACESTATE" "$HTTP_X_AMZN_TRACE_ID" "$_X_AMZN_TRACE_ID"
"""
PYTHON = """
import os


def handler(event, context):
    h = context.http.headers
    return "|".join([h.get("traceparent", ""), h.get("tracestate", ""), h.get("x-amzn-trace-id", ""), os.environ.get("_X_AMZN_TRACE_ID", "")])
"""
NODE = """
exports.handler = async (event, context) => {
  const h = context.http.headers;
  return [h.traceparent ?? '', h.tracestate ?? '', h['x-amzn-trace-id'] ?? '', process.env._X_AMZN_TRACE_ID ?? ''].join('|');
};
"""
PROVIDED = """#!/usr/bin/python3
import http.client, json
api = http.client.HTTPConnection("127.0.0.1", 9001)
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    reply.read()
    trace = reply.headers.get("Lambda-Runtime-Trace-Id", "")
    api.request("POST", "/2018-06-01/runtime/invocation/" + reply.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", json.dumps("|||" + trace))
    api.getresponse().read()
"""


def deploy_tracers(faasd):
    faasd.deploy_script("cgi", CGI, "--contract", "cgi")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    for name, path, text in (("python", "app.py", PYTHON), ("node", "index.js", NODE), ("provided", "bootstrap", PROVIDED)):
        (directory / name).mkdir()
        (directory / name / path).write_text(text)
        (directory / name / path).chmod(0o755)
        faasd.deploy(name, directory / name, "--runtime", name)
    shutil.rmtree(directory)


RUNTIMES = ("cgi", "python", "node", "provided")


@pytest.fixture(scope="module")
def tracers():
    with Faasd() as faasd:
        deploy_tracers(faasd)
        yield faasd


def seen(faasd, name, **headers):
    reply = faasd.invoke(name, b"{}", headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert reply.status == 200, reply
    text = reply.body.decode()
    return reply, (json.loads(text) if name != "cgi" else text).split("|")


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_trace_goes_on_with_a_new_span(tracers, name):
    reply, (parent, state, xray, env) = seen(tracers, name, traceparent=PARENT, tracestate="congo=t61rcWkgMzE")
    echoed = reply.headers["traceparent"]
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", echoed) and echoed != PARENT
    assert reply.headers.get_all("traceparent") == [echoed] and "X-Amzn-Trace-Id" not in reply.headers and "tracestate" not in reply.headers
    span = echoed.split("-")[2]
    assert env == f"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent={span};Sampled=1"
    if name != "provided":
        assert (parent, state, xray) == (echoed, "congo=t61rcWkgMzE", "")
    r = tracers.control("GET", f"/v1/invocations/{reply.headers['X-Request-Id']}").json()
    assert (r["trace_id"], r["span_id"]) == ("0af7651916cd43dd8448eb211c80319c", span)


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_xray_header_goes_on_with_a_new_span(tracers, name):
    reply, (parent, _, xray, env) = seen(tracers, name, X_Amzn_Trace_Id=f"Self=1-2-3;{ROOT};Parent=53995c3f42cd8ad8;Sampled=1")
    echoed = reply.headers["X-Amzn-Trace-Id"]
    assert re.fullmatch(ROOT + r";Parent=[0-9a-f]{16};Sampled=1", echoed) and "53995c3f42cd8ad8" not in echoed
    assert env == echoed and "traceparent" not in reply.headers
    if name != "provided":
        assert (parent, xray) == ("", echoed)


@pytest.mark.parametrize("name", RUNTIMES)
def test_without_a_trace_none_is_made(tracers, name):
    seen(tracers, name, traceparent=PARENT)  # what one request had, the next does not find
    reply, (parent, state, xray, env) = seen(tracers, name)
    assert "traceparent" not in reply.headers and "X-Amzn-Trace-Id" not in reply.headers
    assert (parent, state, xray) == ("", "", "")
    if name == "provided":  # Lambda's runtimes are always given one
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", env)
    else:
        assert env == ""
    assert "trace_id" not in tracers.control("GET", f"/v1/invocations/{reply.headers['X-Request-Id']}").json()


@pytest.mark.parametrize("bad", ["00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "hello", PARENT.upper()])
def test_what_is_no_trace_goes_no_further(tracers, bad):
    reply, fields = seen(tracers, "cgi", traceparent=bad, tracestate="congo=t61rcWkgMzE", X_Amzn_Trace_Id="Root=nonsense")
    assert fields == ["", "", "", ""] and "traceparent" not in reply.headers


def test_a_function_cannot_answer_with_a_trace_of_its_own(tracers):
    tracers.deploy_script("liar", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nTraceparent: " + PARENT + "\\r\\n\\r\\n'\n", "--contract", "cgi")
    assert "traceparent" not in tracers.invoke("liar").headers


def test_traces_are_made_where_asked_and_left_alone_where_not():
    with Faasd(config={"tracing": "always"}) as faasd:
        deploy_tracers(faasd)
        ids = set()
        for name in RUNTIMES:
            reply, (parent, _, xray, env) = seen(faasd, name)
            found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-00", reply.headers["traceparent"])
            trace, span = found.groups()
            ids.add(trace)
            assert env == reply.headers["X-Amzn-Trace-Id"] == f"Root=1-{trace[:8]}-{trace[8:]};Parent={span};Sampled=0"
            if name != "provided":
                assert (parent, xray) == (reply.headers["traceparent"], env)
        assert len(ids) == len(RUNTIMES)
        failed = faasd.invoke("cgi", method="GET", path="")  # and errors have it too
        assert "traceparent" in failed.headers
        faasd.write_config({"tracing": "off"})
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is in use" in faasd.log_text(), "it is read again")
        reply, (parent, state, xray, env) = seen(faasd, "cgi", traceparent="as it came", tracestate="too", X_Amzn_Trace_Id=ROOT)
        assert (parent, state, xray, env) == ("as it came", "too", ROOT, "") and "traceparent" not in reply.headers


# -- the access log --

def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_access_log_has_a_line_for_each_request():
    with Faasd(config={"access_log": "access.log"}) as faasd:
        path = faasd.root / "state" / "logs" / "access.log"
        faasd.deploy("hello", HELLO)
        good = faasd.request("POST", "/function/hello/a?b=1", body=b"{}", headers={"User-Agent": "test \"agent\" <>", "X-Request-Id": "mine"})
        faasd.request("GET", "/nowhere")
        with faasd.connect() as s:
            s.sendall(b"NONSENSE\r\n\r\n")
            assert b" 400 " in s.recv(65536)

        def found():
            lines = {line["id"]: line for line in lines_of(path)}
            return lines if {400, 404} <= {line["status"] for line in lines.values()} else None

        lines = wait_until(found, "all lines are written")
        line = lines[good.headers["X-Request-Id"]]
        assert line["method"] == "POST" and line["target"] == "/function/hello/a?b=1" and line["status"] == 200
        assert line["bytes"] == len(good.body) and line["listener"] == "loopback" and line["peer"] == "127.0.0.1"
        assert line["caller_id"] == "mine" and line["user_agent"] == "test \"agent\" <>" and line["ms"] > 0
        missing = next(at for at in lines.values() if at["status"] == 404)
        assert missing["error"] == "ResourceNotFound"
        refused = next(at for at in lines.values() if at["status"] == 400)
        assert "method" not in refused
        assert any(at["listener"] == "control" and at.get("method") == "PUT" and at["status"] in (200, 201) for at in lines.values())
        # off again
        faasd.write_config({})
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is in use" in faasd.log_text(), "it is read again")
        before = len(lines_of(path))
        faasd.invoke("hello", b"{}")
        assert faasd.stop() == 0
        assert len(lines_of(path)) == before


def test_the_access_log_may_be_the_daemons_stderr():
    with Faasd(config={"access_log": "stderr"}) as faasd:
        faasd.request("GET", "/healthz?marker")
        wait_until(lambda: any(line.startswith("{") and json.loads(line)["target"] == "/healthz?marker" for line in faasd.log), "the line is there")


def test_the_access_log_is_off_by_default(faasd):
    faasd.request("GET", "/healthz")
    assert not list((faasd.root / "state" / "logs").glob("*.log"))


def test_the_access_log_is_bounded():
    with Faasd(config={"access_log": "access.log", "logs": {"function_bytes": "64K"}}) as faasd:
        logs = faasd.root / "state" / "logs"
        with faasd.connect() as s:
            stream = s.makefile("rb")
            for _ in range(600):
                s.sendall(b"GET /healthz?" + b"x" * 200 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += stream.readline()
                stream.read(int(re.search(rb"Content-Length: (\d+)", head).group(1)))
        wait_until(lambda: (logs / "access.log.1").exists(), "it is turned over")
        assert faasd.stop() == 0
        assert sum(p.stat().st_size for p in logs.glob("access.log*")) <= (64 << 10) + 16384  # a batch may go over


def test_the_queue_of_asynchronous_calls_is_told_by_depth_and_age():
    with Faasd() as faasd:
        families = scrape(faasd)
        assert (value(families, "faasd_async_queue_depth"), value(families, "faasd_async_oldest_seconds")) == (0, 0)
        # each waits for its time-out, one at a time
        faasd.deploy_script("held", "#!/bin/sh\nsleep 60\n", "--timeout", "2s", "--async-concurrency", "1", "--async-retries", "0")
        ids = [faasd.request("POST", "/async-function/held", body=b"x").json()["id"] for _ in range(4)]
        wait_until(lambda: value(scrape(faasd), "faasd_async_queue_depth") == 3, "one runs, three wait")
        wait_until(lambda: value(scrape(faasd), "faasd_async_oldest_seconds") > 0.2, "and grow old")
        for call in ids[1:]:
            faasd.cli("invocation", "cancel", call)
        wait_until(lambda: value(scrape(faasd), "faasd_async_queue_depth") == 0, "none waits")
        wait_until(lambda: value(scrape(faasd), "faasd_async_oldest_seconds") == 0, "none is left")
