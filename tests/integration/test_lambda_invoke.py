# SPDX-License-Identifier: Apache-2.0
"""Invoke by boto3, by the AWS CLI and by hand: modes, what failed functions look like, the log's tail, contexts, limits, throttling."""

import base64
import json
import re
import socket
import threading

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import BUILD, Faasd, wait_until
from lambda_client import REGION, arn, aws, client
from lambda_model import watch

PYTHON = """
import json, os, sys, time
def handler(event, context):
    if event == "raise":
        raise ValueError("broken")
    if event == "exit":
        os._exit(3)
    if event == "exit 0":
        os._exit(0)
    if event == "segfault":
        os.kill(os.getpid(), 11)
    if event == "eat":
        held = [bytearray(1 << 20) for _ in range(1000)]
    if event == "big":
        return "x" * (6 << 20)
    if isinstance(event, dict) and "sleep" in event:
        time.sleep(event["sleep"])
    if isinstance(event, dict) and "print" in event:
        print(event["print"])
        sys.stdout.write("no newline")
    return {"event": event, "arn": context.invoked_function_arn, "version": context.function_version, "id": context.aws_request_id,
            "client": context.client_context.custom if context.client_context else None}
"""

NODE = "exports.handler = async (event) => { if (event === 'raise') { throw new TypeError('broken'); } return event; };\n"

BOOTSTRAP = r"""#!/bin/sh
while :; do
  curl -sS -D /tmp/head -o /tmp/event "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
  id=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *\([^ \r]*\).*/\1/p' /tmp/head)
  echo "seen $(cat /tmp/event)"
  case "$(cat /tmp/event)" in
  '"raise"') curl -sS -o /dev/null -d '{"errorMessage":"own words","errorType":"Own.Type","extra":[1,  2]}' "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/error" ;;
  '"exit"') exit 7 ;;
  *) curl -sS -o /dev/null --data-binary @/tmp/event "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" ;;
  esac
done
"""


def write(daemon, name, **files):
    place = daemon.root / "code" / name
    place.mkdir(parents=True)
    for file, text in files.items():
        (place / file.replace("_", ".")).write_text(text)
        (place / file.replace("_", ".")).chmod(0o755)
    return place


@pytest.fixture(scope="module")
def api():
    with Faasd({"failed_credentials": 100000}) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.deploy_script("fails", "#!/bin/sh\necho broken >&2\nexit 3\n")
        daemon.deploy_script("silent", "#!/bin/sh\ntrue\n")
        daemon.deploy_script("slow", "#!/bin/sh\nsleep 600\n", "--timeout", "300ms")
        daemon.deploy_script("loud", "#!/bin/sh\nfor i in $(seq 1000); do echo line $i >&2; done\n")
        daemon.deploy("py", write(daemon, "py", app_py=PYTHON), "--runtime", "python", "--timeout", "5s")
        daemon.deploy("js", write(daemon, "js", index_js=NODE), "--runtime", "node")
        daemon.deploy("own", write(daemon, "own", bootstrap=BOOTSTRAP), "--runtime", "provided")
        daemon.deploy("native", BUILD / "examples" / "hello", "--runtime", "native")
        daemon.deploy("none", write(daemon, "none", app_py="def handler(event, context):\n    pass\n"), "--runtime", "python")
        daemon.deploy_script("cold", "#!/bin/sh\ncat\n", "--keep-warm", "0s", "--memory", "64M")
        daemon.token = create_token(daemon, "admin")
        daemon.aws = watch(client(daemon, daemon.token))
        yield daemon


def invoke(daemon, name, event=None, **more):
    reply = daemon.aws.invoke(FunctionName=name, Payload=json.dumps(event).encode() if event is not None else b"", **more)
    return reply, reply["Payload"].read()


def test_an_answer(api):
    reply, body = invoke(api, "py", {"a": 1})
    fields = reply["ResponseMetadata"]["HTTPHeaders"]
    assert (reply["StatusCode"], reply["ExecutedVersion"], fields["content-type"]) == (200, "$LATEST", "application/json")
    assert "FunctionError" not in reply and "x-amz-log-result" not in fields
    assert json.loads(body) == {"event": {"a": 1}, "arn": arn("py"), "version": "1", "client": None, "id": reply["ResponseMetadata"]["RequestId"]}


def test_every_answer_names_its_trace(api):
    """As AWS's: the caller's where one came, a new one that is not sampled where none did; the function is told the same."""
    form = re.compile(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0")
    seen = set()
    for event in ({"a": 1}, "raise"):
        for _ in range(2):
            reply, _ = invoke(api, "py", event)
            fields = reply["ResponseMetadata"]["HTTPHeaders"]
            assert form.fullmatch(fields["x-amzn-trace-id"]) and "traceparent" not in fields
            seen.add(fields["x-amzn-trace-id"].split(";")[0])
    assert len(seen) == 4
    told = json.loads(api.cli("invocation", "show", reply["ResponseMetadata"]["RequestId"], "--json").stdout)
    assert told["trace_id"] in fields["x-amzn-trace-id"].replace("-", "")
    given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = api.control("POST", "/2015-03-31/functions/py/invocations", b"{}", {"X-Amzn-Trace-Id": given}).headers["x-amzn-trace-id"]
    assert answer.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;") and answer.endswith(";Sampled=1")
    url = api.aws.create_function_url_config(FunctionName="py", AuthType="AWS_IAM")["FunctionUrl"]
    answer = api.control("POST", "/url/" + url.split("/url/")[1], b"{}").headers
    assert form.fullmatch(answer["x-amzn-trace-id"])
    assert "x-amzn-trace-id" not in {name.lower() for name in api.control("POST", "/function/py", b"{}").headers.keys()}


def test_what_returns_nothing_answers_null(api):
    assert invoke(api, "silent")[1] == b"null"
    assert invoke(api, "none")[1] == b"null"


@pytest.mark.parametrize("qualifier,version", [("$LATEST", "$LATEST"), ("1", "1"), ("live", "1")])
def test_qualifiers_in_the_query_and_in_the_name(api, qualifier, version):
    api.cli("alias", "set", "py", "live", "1")
    for name, more in ("py", {"Qualifier": qualifier}), (f"py:{qualifier}", {}), (arn("py") + ":" + qualifier, {"Qualifier": qualifier}):
        reply, body = invoke(api, name, 1, **more)
        assert reply["ExecutedVersion"] == version
        assert json.loads(body)["arn"] == f"{arn('py')}:{qualifier}"


def test_each_type_of_invocation(api):
    assert invoke(api, "py", 1, InvocationType="RequestResponse")[0]["StatusCode"] == 200
    reply, body = invoke(api, "py", "raise", InvocationType="DryRun")
    assert (reply["StatusCode"], body) == (204, b"") and "ExecutedVersion" not in reply
    reply, body = invoke(api, "py:1", {"print": "an event"}, InvocationType="Event")
    assert (reply["StatusCode"], body) == (202, b"") and "ExecutedVersion" not in reply
    wait_until(lambda: b"an event" in api.cli("logs", "py").stdout, "the event's run")


def test_an_event_runs_under_its_own_id_with_its_qualifier(api):
    reply, _ = invoke(api, "py:1", {"event": 1}, InvocationType="Event")
    id = reply["ResponseMetadata"]["RequestId"]
    wait_until(lambda: api.control("GET", f"/v1/calls/{id}").json()["status"] == "succeeded", "the call's end")
    result = json.loads(api.cli("result", id).stdout)
    assert result["id"] == id and result["arn"].endswith(":function:py:1")


def test_invoke_async(api):
    reply = api.aws.invoke_async(FunctionName="py", InvokeArgs=b'{"print": "older than Invoke"}')
    assert reply["Status"] == 202
    wait_until(lambda: b"older than Invoke" in api.cli("logs", "py").stdout, "the event's run")


# -- functions that fail --

def failed(daemon, name, event=None, **more):
    reply, body = invoke(daemon, name, event, **more)
    assert (reply["StatusCode"], reply["FunctionError"], reply["ExecutedVersion"]) == (200, "Unhandled", "$LATEST"), body
    return reply["ResponseMetadata"]["RequestId"], json.loads(body)


def test_a_handler_that_raises(api):
    id, body = failed(api, "py", "raise")
    assert list(body) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (body["errorMessage"], body["errorType"], body["requestId"]) == ("broken", "ValueError", id) and "app.py" in body["stackTrace"][0]
    id, body = failed(api, "js", "raise")
    assert list(body) == ["errorType", "errorMessage", "trace"] and (body["errorType"], body["errorMessage"]) == ("TypeError", "broken")
    assert body["trace"][0] == "TypeError: broken"


def test_a_runtimes_error_goes_out_as_it_came(api):
    reply, body = invoke(api, "own", "raise")
    assert reply["FunctionError"] == "Unhandled" and body == b'{"errorMessage":"own words","errorType":"Own.Type","extra":[1,  2]}'


@pytest.mark.parametrize("name,event,type,text", [
    ("py", "exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
    ("py", "exit 0", "Runtime.ExitError", "Runtime exited without providing a reason"),
    ("py", "segfault", "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
    ("py", "eat", "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ("own", "exit", "Runtime.ExitError", "Runtime exited with error: exit status 7"),
    ("fails", 1, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
    ("slow", 1, "Sandbox.Timedout", "Task timed out after 0.30 seconds"),
    ("py", {"sleep": 30}, "Sandbox.Timedout", "Task timed out after 5.00 seconds"),
])
def test_an_end_that_is_no_reply(api, name, event, type, text):
    id, body = failed(api, name, event)
    assert body == {"errorType": type, "errorMessage": f"RequestId: {id} Error: {text}"}


def test_a_reply_that_is_too_long(api):
    assert failed(api, "py", "big")[1] == {"errorType": "Function.ResponseSizeTooLarge",
                                           "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}


# -- the log's tail --

REPORT = re.compile(r"REPORT RequestId: (\S+)\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB\tMax Memory Used: (\d+) MB\t"
                    r"(?:Init Duration: (\d+\.\d\d) ms\t)?(Status: .*)?\n")


def tail(daemon, name, event=None):
    reply, body = invoke(daemon, name, event, LogType="Tail")
    text = base64.b64decode(reply["LogResult"], validate=True).decode()
    report = REPORT.search(text)
    assert report and report.end() == len(text) and report[1] == reply["ResponseMetadata"]["RequestId"], text
    return report[1], text, report, body


@pytest.mark.parametrize("name,memory", [("py", 128), ("echo", 128), ("own", 128)])
def test_the_tail_of_a_log(api, name, memory):
    id, text, report, body = tail(api, name, {"print": "one\ntwo"})
    middle = {"py": "one\ntwo\nno newline\n", "echo": "", "own": 'seen {"print": "one\\ntwo"}\n'}[name]
    assert text.startswith(f"START RequestId: {id} Version: $LATEST\n{middle}END RequestId: {id}\nREPORT "), text
    assert int(report[4]) == memory and 0 < int(report[5]) <= memory and report[7] is None
    assert int(report[3]) >= float(report[2])
    assert body == invoke(api, name, {"print": "one\ntwo"})[1] or name == "py"


def test_a_cold_start_is_reported(api):
    reports = []

    def is_cold():
        reports.append(tail(api, "cold", 1)[2])
        return reports[-1][6]
    wait_until(is_cold, "a cold start of what is not kept warm")
    report = reports[-1]
    assert int(report[3]) >= float(report[2]) + float(report[6]) and report[4] == "64"
    invoke(api, "echo", 1)
    assert tail(api, "echo", 1)[2][6] is None


@pytest.mark.parametrize("name,event,status", [("slow", 1, "Status: timeout"), ("py", "exit", "Status: error\tError Type: Runtime.ExitError"),
                                               ("py", "raise", None)])
def test_failures_are_reported(api, name, event, status):
    assert tail(api, name, event)[2][7] == status


def test_no_more_than_four_kibibytes(api):
    _, text, _, _ = tail(api, "loud")
    assert len(text) == 4096 and "line 1000\nEND RequestId" in text and not text.startswith("START")


def test_the_tail_of_others_is_not_in_it(api):
    threads = [threading.Thread(target=invoke, args=(api, "py", {"print": "of another", "sleep": 0.1})) for _ in range(3)]
    for thread in threads:
        thread.start()
    text = tail(api, "py", {"print": "mine"})[1]
    for thread in threads:
        thread.join()
    assert "mine\n" in text and "of another" not in text


def test_a_client_that_leaves_before_its_report(api):
    s = api.connect()
    payload = b'{"sleep": 0.2}'
    s.sendall(b"POST /2015-03-31/functions/py/invocations HTTP/1.1\r\nHost: localhost\r\nX-Amz-Log-Type: Tail\r\nAuthorization: Bearer "
              + api.token["token"].encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload)
    wait_until(lambda: any(i["state"] == "busy" for i in api.describe("py")["instances"]), "its delivery")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    wait_until(lambda: not any(i["state"] == "busy" for i in api.describe("py")["instances"]), "its end")
    assert invoke(api, "py", 1)[0]["StatusCode"] == 200


# -- contexts, limits, throttling --

def context(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def refused(daemon, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        daemon.aws.invoke(**arguments)
    e = caught.value.response
    assert (e["Error"]["Code"], e["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), e
    return e


def test_client_contexts(api):
    assert json.loads(invoke(api, "py", 1, ClientContext=context({"custom": {"k": "v"}}))[1])["client"] == {"k": "v"}
    for bad in "not base64!", base64.b64encode(b"not json").decode():
        e = refused(api, "InvalidRequestContentException", 400, FunctionName="py", ClientContext=bad)
        assert e["Error"]["Message"] == "Client context must be a valid Base64-encoded JSON object."
    e = refused(api, "InvalidRequestContentException", 400, FunctionName="py", ClientContext=context({"custom": {"k": "v" * 4000}}))
    assert "3583" in e["Error"]["Message"]


@pytest.mark.parametrize("type", ["RequestResponse", "Event"])
def test_an_event_that_is_no_json(api, type):
    e = refused(api, "InvalidRequestContentException", 400, FunctionName="py", Payload=b'{"a":', InvocationType=type)
    assert e["Error"]["Message"].startswith("Could not parse request body into json: ")


def test_limits_of_an_event(api):
    reply, body = invoke(api, "echo", InvocationType="DryRun")
    whole = b'"' + b"x" * (6291456 - 2) + b'"'
    reply = api.aws.invoke(FunctionName="echo", Payload=whole)
    assert reply["Payload"].read() == whole
    e = refused(api, "RequestEntityTooLargeException", 413, FunctionName="echo", Payload=whole + b" ")
    assert e["Error"]["Message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    e = refused(api, "RequestEntityTooLargeException", 413, FunctionName="echo", Payload=whole[:1048577], InvocationType="Event")
    assert e["Error"]["Message"] == "Request must be smaller than 1048576 bytes for the InvokeFunction operation"
    assert api.aws.invoke(FunctionName="echo", Payload=whole[:1048576], InvocationType="Event")["StatusCode"] == 202


def test_throttling(api):
    api.deploy_script("one", "#!/bin/sh\nsleep 2\n", "--max-concurrency", "1", "--queue", "0")
    caller = threading.Thread(target=invoke, args=(api, "one"))
    caller.start()
    wait_until(lambda: any(i["state"] == "busy" for i in api.describe("one")["instances"]), "a busy instance")
    e = refused(api, "TooManyRequestsException", 429, FunctionName="one")
    caller.join()
    assert e["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded" and e["Error"]["Message"] == "Rate Exceeded."
    assert e["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1" and e["Type"] == "User"


# -- the AWS CLI --

def test_the_command_line_client(api, tmp_path):
    out = tmp_path / "out"
    told = aws(api, api.token, "lambda", "invoke", "--function-name", "py", "--payload", '{"a": 1}', "--log-type", "Tail", str(out))
    assert told["StatusCode"] == 200 and told["ExecutedVersion"] == "$LATEST" and json.loads(out.read_text())["event"] == {"a": 1}
    assert base64.b64decode(told["LogResult"]).startswith(b"START RequestId: ")
    told = aws(api, api.token, "lambda", "invoke", "--function-name", "py:1", "--payload", '"raise"', str(out))
    assert told["FunctionError"] == "Unhandled" and told["ExecutedVersion"] == "1" and json.loads(out.read_text())["errorType"] == "ValueError"
    assert aws(api, api.token, "lambda", "invoke", "--function-name", "py", "--invocation-type", "Event", str(out))["StatusCode"] == 202
    assert aws(api, api.token, "lambda", "invoke", "--function-name", "py", "--invocation-type", "DryRun", str(out))["StatusCode"] == 204
    missing = aws(api, api.token, "lambda", "invoke", "--function-name", "nobody", str(out), check=False)
    assert missing.returncode == 254 and b"ResourceNotFoundException" in missing.stderr and arn("nobody").encode() in missing.stderr
    assert aws(api, api.token, "lambda", "get-account-settings")["AccountUsage"]["FunctionCount"] >= 9
    assert REGION in arn("nobody")
