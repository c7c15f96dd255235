# SPDX-License-Identifier: Apache-2.0
"""Functions, versions and aliases through Lambda's API, with boto3 as people have it."""

import base64
import hashlib
import io
import json
import os
import pathlib
import platform
import shutil
import stat
import subprocess
import time
import zipfile

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import DEADLINE, FAASD, Faasd
from lambda_client import REGION, admin, arn, aws, client

ROLE = "arn:aws:iam::000000000000:role/any"
PYTHON = "def handler(event, context):\n    return {'said': %r, 'name': context.function_name}\n"
HOST = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def make_zip(files, level=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", level) as z:
        for name, text in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = level
            info.external_attr = (stat.S_IFREG | (0o755 if name == "bootstrap" else 0o644)) << 16
            z.writestr(info, text)
    return out.getvalue()


def python_zip(word):
    return make_zip({"app.py": PYTHON % word})


def python_runtime():
    return "python3.%s" % subprocess.run(["/usr/bin/python3", "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True,
                                         check=True).stdout.strip()


RUNTIME = python_runtime()


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"failed_credentials": 100000}) as d:
        d.aws = admin(d)
        d.raw = client(d, create_token(d, "admin"), parameter_validation=False)
        yield d


def create(daemon, name, word="one", **more):
    arguments = dict(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": python_zip(word)})
    arguments.update(more)
    return daemon.aws.create_function(**arguments)


@pytest.fixture
def function(daemon, request):
    name = request.node.name.split("[")[0][:64].replace("test_", "")
    create(daemon, name)
    yield name
    try:
        daemon.aws.delete_function(FunctionName=name)
    except ClientError as e:
        assert e.response["Error"]["Code"] == "ResourceNotFoundException"


def said(daemon, name, **more):
    reply = daemon.aws.invoke(FunctionName=name, Payload=b"{}", **more)
    payload = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, payload
    return payload["said"]


def refused(call, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    e = caught.value.response
    assert (e["Error"]["Code"], e["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), e
    return e["Error"]["Message"]


def test_a_function_is_created_and_answers(daemon):
    code = python_zip("hello")
    before = time.time()
    made = create(daemon, "made", Code={"ZipFile": code}, Description="first", Timeout=7, MemorySize=256, Environment={"Variables": {"AA": "1", "BB": "ü"}},
                  TracingConfig={"Mode": "Active"}, VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}, Tags={"team": "x"},
                  EphemeralStorage={"Size": 600})
    assert said(daemon, "made") == "hello"
    took = time.time() - before
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["State"], made["StateReason"], made["StateReasonCode"]) == ("Pending", "The function is being created.", "Creating")
    shown = daemon.aws.get_function(FunctionName="made")
    c = shown["Configuration"]
    assert (c["State"], c["LastUpdateStatus"]) == ("Active", "Successful") and c["RevisionId"] != made["RevisionId"]
    assert c["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode() and c["CodeSize"] == len(code)
    assert c["FunctionArn"] == arn("made") and c["Version"] == "$LATEST" and c["Role"] == ROLE
    assert (c["Runtime"], c["Handler"], c["Timeout"], c["MemorySize"]) == (RUNTIME, "app.handler", 7, 256)
    assert c["Environment"] == {"Variables": {"AA": "1", "BB": "ü"}} and c["EphemeralStorage"] == {"Size": 600}
    assert c["TracingConfig"] == {"Mode": "Active"} and c["VpcConfig"]["SubnetIds"] == ["subnet-1"] and c["Architectures"] == [HOST]
    assert c["PackageType"] == "Zip" and c["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert shown["Tags"] == {"team": "x"} and shown["Code"]["RepositoryType"] == "S3"
    assert daemon.aws.get_function_configuration(FunctionName="made")["RevisionId"] == c["RevisionId"]
    described = daemon.describe("made")
    assert described["settings"]["memory"] == "256M" and described["settings"]["description"] == "first", described
    assert b"made" in daemon.cli("ls").stdout
    daemon.aws.delete_function(FunctionName="made")
    assert refused(daemon.aws.get_function, "ResourceNotFoundException", 404, FunctionName="made").startswith(f"Function not found: {arn('made')}")
    assert took < DEADLINE


def test_defaults(daemon, function):
    c = daemon.aws.get_function_configuration(FunctionName=function)
    assert (c["Timeout"], c["MemorySize"], c["EphemeralStorage"]["Size"], c["Description"]) == (3, 128, 512, "")
    assert "Environment" not in c and c["TracingConfig"] == {"Mode": "PassThrough"}
    assert daemon.describe(function)["settings"]["tmp_exec"] is True


def test_waiters_need_no_second_look(daemon, function):
    for name in ("function_active", "function_active_v2", "function_updated", "function_updated_v2", "function_exists"):
        daemon.aws.get_waiter(name).wait(FunctionName=function, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    daemon.aws.publish_version(FunctionName=function)
    daemon.aws.get_waiter("published_version_active").wait(FunctionName=function, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 1})


def test_new_code(daemon, function):
    before = daemon.aws.get_function_configuration(FunctionName=function)
    code = python_zip("two")
    sha = base64.b64encode(hashlib.sha256(code).digest()).decode()
    for more in ({}, {"Publish": True}, {"RevisionId": before["RevisionId"]}):  # tells what there would be, and makes nothing
        dry = daemon.aws.update_function_code(FunctionName=function, ZipFile=code, DryRun=True, **more)
        assert (dry["CodeSha256"], dry["CodeSize"], dry["RevisionId"], dry["Version"]) == (sha, len(code), before["RevisionId"], "$LATEST")
    assert daemon.aws.get_function_configuration(FunctionName=function)["CodeSha256"] == before["CodeSha256"] and said(daemon, function) == "one"
    changed = daemon.aws.update_function_code(FunctionName=function, ZipFile=code, RevisionId=before["RevisionId"])
    assert changed["LastUpdateStatus"] == "InProgress" and changed["CodeSha256"] != before["CodeSha256"]
    after = daemon.aws.get_function_configuration(FunctionName=function)
    assert after["LastUpdateStatus"] == "Successful" and after["RevisionId"] not in (before["RevisionId"], changed["RevisionId"])
    assert (after["Handler"], after["Role"], after["Timeout"]) == ("app.handler", ROLE, 3)
    assert said(daemon, function) == "two"
    assert refused(daemon.aws.update_function_code, "PreconditionFailedException", 412, FunctionName=function, ZipFile=python_zip("x"),
                   RevisionId=before["RevisionId"]).startswith("The Revision Id provided does not match the latest Revision Id.")


def test_new_configuration(daemon, function):
    update = daemon.aws.update_function_configuration
    update(FunctionName=function, Environment={"Variables": {"AA": "1", "BB": "2"}}, MemorySize=192, Timeout=20)
    before = daemon.aws.get_function_configuration(FunctionName=function)
    assert (before["MemorySize"], before["Timeout"], before["Environment"]["Variables"]) == (192, 20, {"AA": "1", "BB": "2"})
    update(FunctionName=function, Environment={"Variables": {"BB": "3"}}, KMSKeyArn="arn:aws:kms:eu-central-1:000000000000:key/1", RevisionId=before["RevisionId"])
    after = daemon.aws.get_function_configuration(FunctionName=function)
    assert (after["MemorySize"], after["Environment"]["Variables"], after["KMSKeyArn"]) == (192, {"BB": "3"}, "arn:aws:kms:eu-central-1:000000000000:key/1")
    assert after["CodeSha256"] == before["CodeSha256"] and after["RevisionId"] != before["RevisionId"] and after["Role"] == ROLE
    update(FunctionName=function, Role="arn:aws:iam::000000000000:role/other", Description="d" * 256)
    last = daemon.aws.get_function_configuration(FunctionName=function)
    assert (last["Role"], last["Description"]) == ("arn:aws:iam::000000000000:role/other", "d" * 256) and last["RevisionId"] != after["RevisionId"]
    assert refused(update, "PreconditionFailedException", 412, FunctionName=function, Timeout=5, RevisionId=after["RevisionId"])


def test_versions(daemon, function):
    lam = daemon.aws
    assert [v["Version"] for v in lam.list_versions_by_function(FunctionName=function)["Versions"]] == ["$LATEST"]
    assert refused(lam.invoke, "ResourceNotFoundException", 404, FunctionName=function, Qualifier="1")
    sha = lam.get_function_configuration(FunctionName=function)["CodeSha256"]
    one = lam.publish_version(FunctionName=function, Description="the first", CodeSha256=sha)
    assert (one["Version"], one["FunctionArn"], one["Description"], one["State"]) == ("1", arn(function) + ":1", "the first", "Active")
    assert lam.publish_version(FunctionName=function)["Version"] == "1"
    assert lam.get_function_configuration(FunctionName=function)["Description"] == ""
    lam.update_function_code(FunctionName=function, ZipFile=python_zip("two"))
    assert said(daemon, function) == "two" and said(daemon, function, Qualifier="1") == "one"
    lam.update_function_code(FunctionName=function, ZipFile=python_zip("three"))
    two = lam.update_function_code(FunctionName=function, ZipFile=python_zip("four"), Publish=True)
    assert two["Version"] == "2" and said(daemon, function, Qualifier="2") == "four"
    lam.update_function_configuration(FunctionName=function, Timeout=9)
    versions = lam.list_versions_by_function(FunctionName=function)["Versions"]
    assert [(v["Version"], v["Timeout"]) for v in versions] == [("$LATEST", 9), ("1", 3), ("2", 3)]
    message = refused(lam.publish_version, "InvalidParameterValueException", 400, FunctionName=function, CodeSha256="x")
    assert message == (f"CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ({two['CodeSha256']}). Please try again with the "
                       "CodeSHA256 in $LATEST.")
    assert refused(lam.publish_version, "PreconditionFailedException", 412, FunctionName=function, RevisionId="stale")
    pages = list(lam.get_paginator("list_versions_by_function").paginate(FunctionName=function, PaginationConfig={"PageSize": 2}))
    assert [[v["Version"] for v in p["Versions"]] for p in pages] == [["$LATEST", "1"], ["2"]]


def test_versions_are_deleted_and_numbers_not_used_twice(daemon, function):
    lam = daemon.aws
    for word in "abc":
        lam.update_function_code(FunctionName=function, ZipFile=python_zip(word), Publish=True)
    lam.update_function_code(FunctionName=function, ZipFile=python_zip("d"))
    lam.delete_function(FunctionName=function, Qualifier="3")
    lam.delete_function(FunctionName=function, Qualifier="1")
    assert [v["Version"] for v in lam.list_versions_by_function(FunctionName=function)["Versions"]] == ["$LATEST", "2"]
    assert refused(lam.get_function, "ResourceNotFoundException", 404, FunctionName=function, Qualifier="3")
    assert lam.publish_version(FunctionName=function)["Version"] == "4"
    lam.create_alias(FunctionName=function, Name="prod", FunctionVersion="2")
    assert "alias prod" in refused(lam.delete_function, "ResourceConflictException", 409, FunctionName=function, Qualifier="2")
    assert refused(lam.delete_function, "InvalidParameterValueException", 400, FunctionName=function, Qualifier="$LATEST") == \
        "$LATEST version cannot be deleted without deleting the function."


def test_aliases(daemon, function):
    lam = daemon.aws
    for word in ("one", "two"):
        lam.update_function_code(FunctionName=function, ZipFile=python_zip(word), Publish=True)
    made = lam.create_alias(FunctionName=function, Name="prod", FunctionVersion="1", Description="what people use")
    assert (made["AliasArn"], made["FunctionVersion"], made["Description"]) == (arn(function) + ":prod", "1", "what people use")
    assert "RoutingConfig" not in made and said(daemon, function, Qualifier="prod") == "one"
    assert refused(lam.create_alias, "ResourceConflictException", 409, FunctionName=function, Name="prod", FunctionVersion="1") == \
        f"Alias already exists: {arn(function)}:prod"
    moved = lam.update_alias(FunctionName=function, Name="prod", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.25}},
                             RevisionId=made["RevisionId"])
    assert moved["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 0.25}} and moved["Description"] == "what people use"
    words = {said(daemon, function, Qualifier="prod") for _ in range(60)}
    assert words == {"one", "two"}
    assert refused(lam.update_alias, "PreconditionFailedException", 412, FunctionName=function, Name="prod", FunctionVersion="1", RevisionId=made["RevisionId"])
    back = lam.update_alias(FunctionName=function, Name="prod", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in back and back["FunctionVersion"] == "2"
    lam.create_alias(FunctionName=function, Name="dev", FunctionVersion="$LATEST")
    assert lam.get_alias(FunctionName=function, Name="dev")["FunctionVersion"] == "$LATEST"
    pages = list(lam.get_paginator("list_aliases").paginate(FunctionName=function, PaginationConfig={"PageSize": 1}))
    assert [a["Name"] for p in pages for a in p["Aliases"]] == ["dev", "prod"]
    assert [a["Name"] for a in lam.list_aliases(FunctionName=function, FunctionVersion="2")["Aliases"]] == ["prod"]
    assert refused(lam.get_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="blue") == f"Cannot find alias arn: {arn(function)}:blue"
    assert refused(lam.create_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="x", FunctionVersion="9") == f"Function not found: {arn(function)}:9"
    assert refused(lam.update_alias, "InvalidParameterValueException", 400, FunctionName=function, Name="dev",
                   RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}) == "$LATEST is not supported for an alias pointing to more than 1 version"
    assert refused(lam.update_alias, "InvalidParameterValueException", 400, FunctionName=function, Name="prod",
                   RoutingConfig={"AdditionalVersionWeights": {"1": 0.5, "2": 0.1}})
    for c in (lam, daemon.raw):  # what is not there is deleted, too
        c.delete_alias(FunctionName=function, Name="prod")
    assert refused(lam.get_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="prod")
    assert refused(daemon.raw.create_alias, "ValidationException", 400, FunctionName=function, Name="123", FunctionVersion="1").startswith(
        "1 validation error detected: Value '123' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern")


def test_lists_go_page_by_page(daemon):
    names = [f"page-{i:02}" for i in range(7)]
    for name in names:
        create(daemon, name)
    daemon.aws.publish_version(FunctionName=names[3])
    pages = list(daemon.aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3}))
    listed = [f["FunctionName"] for p in pages for f in p["Functions"] if f["FunctionName"].startswith("page-")]
    assert listed == names and all(len(p["Functions"]) <= 3 for p in pages)
    pages = daemon.aws.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 3})
    every = [(f["FunctionName"], f["Version"]) for p in pages for f in p["Functions"] if f["FunctionName"].startswith("page-")]
    assert every == sorted([(n, "$LATEST") for n in names] + [(names[3], "1")])
    assert refused(daemon.aws.list_functions, "InvalidParameterValueException", 400, Marker="what?")
    for name in names:
        daemon.aws.delete_function(FunctionName=name)


def test_what_faasd_deployed_is_seen_and_changed(daemon):
    daemon.deploy_script("script", "#!/bin/sh\ncat\n", "--env", "A=1", "--description", "a script")
    c = daemon.aws.get_function(FunctionName="script")["Configuration"]
    assert (c["Description"], c["Environment"]["Variables"], c["State"]) == ("a script", {"A": "1"}, "Active") and "Runtime" not in c
    assert len(base64.b64decode(c["CodeSha256"])) == 32 and c["CodeSize"] > 0 and c["Role"].startswith("arn:aws:iam::")
    assert [v["Version"] for v in daemon.aws.list_versions_by_function(FunctionName="script")["Versions"]] == ["$LATEST", "1"]
    daemon.aws.update_function_configuration(FunctionName="script", Timeout=11)
    assert daemon.describe("script")["settings"]["timeout"] == "11s"
    daemon.deploy_script("script", "#!/bin/sh\necho changed\n")
    after = daemon.aws.get_function_configuration(FunctionName="script")
    assert after["Timeout"] == 11 and after["RevisionId"] != c["RevisionId"] and after["CodeSha256"] != c["CodeSha256"]
    assert [v["Version"] for v in daemon.aws.list_versions_by_function(FunctionName="script")["Versions"]] == ["$LATEST", "1", "2"]
    assert daemon.invoke("script", b"x").body == b"changed\n"
    daemon.cli("rm", "script")
    assert refused(daemon.aws.get_function, "ResourceNotFoundException", 404, FunctionName="script")


def test_faasd_deploys_over_what_lambdas_api_made(daemon, function, tmp_path):
    (tmp_path / "app.py").write_text(PYTHON % "deployed")
    daemon.deploy(function, tmp_path)
    c = daemon.aws.get_function_configuration(FunctionName=function)
    assert said(daemon, function) == "deployed" and c["Role"] == ROLE
    assert [v["Version"] for v in daemon.aws.list_versions_by_function(FunctionName=function)["Versions"]] == ["$LATEST", "1"]
    assert daemon.aws.publish_version(FunctionName=function)["Version"] == "1"


def test_all_of_it_is_there_after_a_restart():
    with Faasd() as d:
        d.aws = admin(d)
        create(d, "kept", Tags={"a": "b"})
        d.aws.publish_version(FunctionName="kept", Description="v1")
        d.aws.create_alias(FunctionName="kept", Name="prod", FunctionVersion="1", Description="alias")
        d.aws.update_function_code(FunctionName="kept", ZipFile=python_zip("two"), Publish=True)
        d.aws.update_function_code(FunctionName="kept", ZipFile=python_zip("three"))
        d.aws.delete_function(FunctionName="kept", Qualifier="2")
        before = [d.aws.get_function(FunctionName="kept")["Configuration"], d.aws.get_alias(FunctionName="kept", Name="prod"),
                  d.aws.list_versions_by_function(FunctionName="kept")["Versions"]]
        d.stop()
        d.start()
        d.aws = admin(d)
        after = [d.aws.get_function(FunctionName="kept")["Configuration"], d.aws.get_alias(FunctionName="kept", Name="prod"),
                 d.aws.list_versions_by_function(FunctionName="kept")["Versions"]]
        for kept in (before, after):
            kept[1].pop("ResponseMetadata")
        assert before == after and [v["Version"] for v in after[2]] == ["$LATEST", "1"]
        assert said(d, "kept") == "three" and said(d, "kept", Qualifier="prod") == "one"
        assert d.aws.publish_version(FunctionName="kept")["Version"] == "3"


@pytest.mark.parametrize("change,status,code,message", [
    (dict(Runtime="python9.9x"), 400, "InvalidParameterValueException",
     "Value python9.9x at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs24.x, "),
    (dict(Runtime="java21"), 400, "InvalidParameterValueException", "The runtime parameter of java21 is not supported on this host, which has "),
    (dict(Runtime="python3.7"), 400, "InvalidParameterValueException", "runtime"),
    (dict(Runtime=None), 400, "InvalidParameterValueException",
     "Runtime and Handler are mandatory parameters for functions created with deployment packages."),
    (dict(Role=None), 400, "ValidationException", "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"),
    (dict(Role="me", MemorySize=64), 400, "ValidationException", "2 validation errors detected: "),
    (dict(Timeout=901), 400, "ValidationException", "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: "
     "Member must have value less than or equal to 900"),
    (dict(Code={"ZipFile": b"no zip at all"}), 400, "InvalidParameterValueException",
     "Could not unzip uploaded file. Please check your file, then try to upload again."),
    (dict(Code={"ZipFile": python_zip("cut")[:-40]}), 400, "InvalidParameterValueException",
     "Could not unzip uploaded file. Please check your file, then try to upload again."),
    (dict(Code={"ZipFile": b""}), 400, "InvalidParameterValueException", "Uploaded file must be a non-empty zip"),
    (dict(Code={}), 400, "InvalidParameterValueException", "Please provide a source for function code."),
    (dict(Code={"ImageUri": "1.dkr.ecr/x"}), 400, "InvalidParameterValueException", "ImageUri: container images are not supported on this host"),
    (dict(PackageType="Image"), 400, "InvalidParameterValueException", "PackageType Image is not supported on this host"),
    (dict(Environment={"Variables": {"AA": "x" * 5000}}), 400, "InvalidParameterValueException",
     "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. "
     "String measured: {\"AA\":\"xxx"),
    (dict(Environment={"Variables": {"AWS_REGION": "x"}}), 400, "InvalidParameterValueException",
     "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys"),
    (dict(Environment={"Variables": {"LD_PRELOAD": "/tmp/x.so"}}), 400, "InvalidParameterValueException",
     "Lambda was unable to configure your environment variables because LD_PRELOAD is not allowed on this host"),
    (dict(Handler="../x.y"), 400, "InvalidParameterValueException", "handler: runtime " + RUNTIME + ": '../x.y' is not MODULE.FUNCTION"),
    (dict(Layers=["arn:aws:lambda:eu-central-1:000000000000:layer:l:%d" % i for i in range(6)]), 400, "InvalidParameterValueException",
     "Cannot reference more than 5 layers."),
    (dict(Architectures=["arm64" if HOST == "x86_64" else "x86_64"]), 400, "InvalidParameterValueException", "The architecture "),
    (dict(FunctionName="a" * 65), 400, "ValidationException", "1 validation error detected: Value '"),
    (dict(FunctionName=arn("x", "us-west-2")), 404, "ResourceNotFoundException", "Functions from 'us-west-2' are not reachable in this region"),
    (dict(Handler="nothing.handler"), 400, "InvalidParameterValueException", ""),
])
def test_what_a_function_can_not_be(daemon, change, status, code, message):
    arguments = dict(FunctionName="never", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": python_zip("x")})
    arguments.update(change)
    arguments = {k: v for k, v in arguments.items() if v is not None}
    told = refused(daemon.raw.create_function, code, status, **arguments)
    assert message in told and "line 1" not in told, told
    assert refused(daemon.aws.get_function, "ResourceNotFoundException", 404, FunctionName="never")


def post(daemon, body):
    """Unsigned, on the control socket: what no client would send."""
    return daemon.control("POST", "/2015-03-31/functions", body, {"Content-Type": "application/json"})


def test_bodies_that_no_client_sends(daemon):
    head = json.dumps(dict(FunctionName="odd", Runtime=RUNTIME, Role=ROLE, Handler="app.handler"))[:-1]
    code = base64.b64encode(python_zip("odd")).decode()
    for bad in ("!" + code[1:], code[:-1], code + "A", code[:8] + "====" + code[12:], "\\u0041" + code):
        reply = post(daemon, head + ', "Code": {"ZipFile": "%s"}}' % bad)
        assert reply.status == 400 and reply.headers["x-amzn-ErrorType"] == "InvalidRequestContentException", (bad[:20], reply.body)
    for broken in ('{"Code": {"ZipFile": "' + code, head + ', "Code": {"ZipFile": "%s"}' % code, "[]", ""):
        assert post(daemon, broken).status == 400, broken[:40]
    reply = post(daemon, head + ', "Code": {"ZipFile": 7}}')
    assert reply.status == 400 and reply.headers["x-amzn-ErrorType"] == "SerializationException"
    reply = post(daemon, '{"Code": {"ZipFile" : "%s"}, ' % code.replace("/", "\\/") + head[1:] + ', "Unknown": {"ZipFile": 3}}')
    assert reply.status == 201, reply.body
    assert said(daemon, "odd") == "odd"
    daemon.aws.delete_function(FunctionName="odd")


def test_archives_up_to_the_limit(daemon):
    filler = os.urandom(20 << 20)
    code = make_zip({"app.py": PYTHON % "large", "filler": filler}, zipfile.ZIP_STORED)
    made = create(daemon, "large", Code={"ZipFile": code})
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode() and said(daemon, "large") == "large"
    daemon.aws.delete_function(FunctionName="large")
    over = b"PK\x03\x04" + bytes(52428800 - 3)
    assert refused(create, "RequestEntityTooLargeException", 413, daemon=daemon, name="over", Code={"ZipFile": over}) == \
        "Zipped size must be smaller than 52428800 bytes"
    bomb = make_zip({"app.py": PYTHON % "x", "zeros": bytes(262144001)})
    assert refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="bomb", Code={"ZipFile": bomb}) == \
        "Unzipped size must be smaller than 262144000 bytes"


def test_a_name_is_taken_once(daemon, function):
    assert refused(create, "ResourceConflictException", 409, daemon=daemon, name=function, word="two") == f"Function already exist: {function}"


def test_other_runtimes(daemon):
    bootstrap = ("#!/bin/sh\nB=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\nwhile :; do\n"
                 "ID=$(curl -s -o /tmp/event -D - $B/next | tr -d '\\r' | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //Ip')\n"
                 "curl -s -d '{\"said\":\"bootstrap\"}' $B/$ID/response >/dev/null\ndone\n")
    create(daemon, "boot", Runtime="provided.al2023", Handler="any", Code={"ZipFile": make_zip({"bootstrap": bootstrap})}, Timeout=10)
    assert said(daemon, "boot") == "bootstrap"
    daemon.aws.delete_function(FunctionName="boot")
    if not shutil.which("node", path="/usr/bin"):
        pytest.skip("there is no /usr/bin/node")
    major = subprocess.run(["/usr/bin/node", "-v"], capture_output=True, text=True, check=True).stdout[1:].split(".")[0]
    create(daemon, "node", Runtime=f"nodejs{major}.x", Handler="index.handler",
           Code={"ZipFile": make_zip({"index.js": "exports.handler = async () => ({said: 'node'})\n"})}, Timeout=10)
    assert said(daemon, "node") == "node"
    daemon.aws.delete_function(FunctionName="node")


def test_code_that_fails_is_taken_and_tells_when_it_is_called(daemon):
    create(daemon, "broken", Code={"ZipFile": make_zip({"app.py": "import nothing_such\n"})})
    reply = daemon.aws.invoke(FunctionName="broken", Payload=b"{}")
    assert reply["FunctionError"] == "Unhandled" and b"nothing_such" in reply["Payload"].read()
    daemon.aws.delete_function(FunctionName="broken")


def test_variables_are_for_who_may_deploy(daemon, function):
    daemon.aws.update_function_configuration(FunctionName=function, Environment={"Variables": {"KEY": "value"}})
    reader = client(daemon, create_token(daemon, "read"))
    for shown in (reader.get_function_configuration(FunctionName=function),
                  [f for f in reader.list_functions()["Functions"] if f["FunctionName"] == function][0]):
        assert shown["Environment"]["Error"]["ErrorCode"] == "AccessDeniedException" and "Variables" not in shown["Environment"]
    assert refused(reader.delete_function, "AccessDeniedException", 403, FunctionName=function)


def test_the_readme_does_what_it_says(daemon, tmp_path):
    text = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
    section = text.split("## Your existing Lambda function, in one minute\n")[1].split("\n## ")[0]
    lines = [line[2:] for line in section.split("```")[1].splitlines() if line.startswith("$ ")]
    assert len(lines) > 5 and "python3.11" in section
    (tmp_path / "function.zip").write_bytes(make_zip({"app.py": "def handler(event, context):\n    return 'hello ' + event['name']\n"}))
    script = "\n".join(["set -e", "shopt -s expand_aliases", *lines]).replace("127.0.0.1:8080", f"127.0.0.1:{daemon.port}").replace("python3.11", RUNTIME)
    environment = {"PATH": f"{FAASD.parent}:/usr/bin:/bin", "HOME": "/nonexistent", "FAASD_ROOT": str(daemon.root), "AWS_PAGER": ""}
    done = subprocess.run(["/bin/bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == "hello you" and "hello" in done.stdout
    assert said_by_alias(daemon, "hello", "prod") == "hello you"
    daemon.cli("rm", "hello")


def said_by_alias(daemon, name, alias):
    return json.loads(daemon.aws.invoke(FunctionName=name, Qualifier=alias, Payload=b'{"name": "you"}')["Payload"].read())


def test_the_command_line_client(daemon, tmp_path):
    token = create_token(daemon, "admin")
    (tmp_path / "f.zip").write_bytes(python_zip("cli"))
    made = aws(daemon, token, "lambda", "create-function", "--function-name", "by-cli", "--runtime", RUNTIME, "--role", ROLE, "--handler", "app.handler",
               "--zip-file", f"fileb://{tmp_path}/f.zip")
    assert made["State"] == "Pending"
    aws(daemon, token, "lambda", "wait", "function-active-v2", "--function-name", "by-cli")
    assert aws(daemon, token, "lambda", "publish-version", "--function-name", "by-cli")["Version"] == "1"
    assert aws(daemon, token, "lambda", "create-alias", "--function-name", "by-cli", "--name", "live", "--function-version", "1")["Name"] == "live"
    aws(daemon, token, "lambda", "invoke", "--function-name", "by-cli:live", "--payload", "{}", f"{tmp_path}/out")
    assert json.loads((tmp_path / "out").read_text())["said"] == "cli"
    aws(daemon, token, "lambda", "delete-function", "--function-name", "by-cli")
    failed = aws(daemon, token, "lambda", "get-function", "--function-name", "by-cli", check=False)
    assert failed.returncode != 0 and b"ResourceNotFoundException" in failed.stderr


def test_what_is_of_the_whole_function_takes_no_qualifier(daemon, function):
    """A qualifier that would be passed over looks as if the version or alias behind it had been changed."""
    daemon.aws.publish_version(FunctionName=function)
    before = daemon.aws.get_function_configuration(FunctionName=function)["RevisionId"]
    for qualifier in ("1", "nothing"):
        name = function + ":" + qualifier
        for call, more in ((daemon.aws.update_function_code, {"ZipFile": python_zip("two")}), (daemon.aws.update_function_configuration, {"Timeout": 9}),
                           (daemon.aws.publish_version, {}), (daemon.aws.create_alias, {"Name": "other", "FunctionVersion": "1"}),
                           (daemon.aws.update_alias, {"Name": "other", "FunctionVersion": "1"}), (daemon.aws.delete_alias, {"Name": "other"}),
                           (daemon.aws.get_function_concurrency, {}), (daemon.aws.get_function_code_signing_config, {}), (daemon.aws.put_function_concurrency, {"ReservedConcurrentExecutions": 1})):
            assert refused(call, "InvalidParameterValueException", 400, FunctionName=name, **more).endswith(f": name it without ':{qualifier}'")
    assert said(daemon, function) == "one"
    assert daemon.aws.get_function_configuration(FunctionName=function)["RevisionId"] == before
    assert daemon.aws.list_aliases(FunctionName=function)["Aliases"] == []
    daemon.aws.update_function_code(FunctionName=function + ":$LATEST", ZipFile=python_zip("two"))
    assert said(daemon, function) == "two"


def test_what_is_told_of_the_whole_function_knows_its_qualifiers(daemon, function):
    """Lists are of the function, whichever version's ARN a client has at hand; one that is none is said."""
    daemon.aws.publish_version(FunctionName=function)
    daemon.aws.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    for call, member in ((daemon.aws.list_versions_by_function, "Versions"), (daemon.aws.list_aliases, "Aliases"), (daemon.aws.list_function_event_invoke_configs, "FunctionEventInvokeConfigs"),
                         (daemon.aws.list_function_url_configs, "FunctionUrlConfigs"), (daemon.aws.list_provisioned_concurrency_configs, "ProvisionedConcurrencyConfigs")):
        whole = call(FunctionName=function)[member]
        for qualifier in ("1", "live", "$LATEST"):
            assert call(FunctionName=function + ":" + qualifier)[member] == whole
        assert refused(call, "ResourceNotFoundException", 404, FunctionName=function + ":nothing") == f"Function not found: {arn(function)}:nothing"
    assert daemon.aws.get_alias(FunctionName=function + ":1", Name="live")["FunctionVersion"] == "1"
    refused(daemon.aws.get_alias, "ResourceNotFoundException", 404, FunctionName=function + ":2", Name="live")


def test_a_function_is_made_in_this_account_and_without_a_qualifier(daemon):
    rest = dict(Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": python_zip("x")})
    words = refused(daemon.aws.create_function, "InvalidParameterValueException", 400, FunctionName=arn("abroad", account="111111111111"), **rest)
    assert "111111111111" in words and "lambda.account" in words
    words = refused(daemon.aws.create_function, "InvalidParameterValueException", 400, FunctionName=arn("abroad") + ":1", **rest)
    assert "name it without ':1'" in words
    refused(daemon.aws.get_function, "ResourceNotFoundException", 404, FunctionName="abroad")
    assert daemon.aws.create_function(FunctionName=arn("abroad"), **rest)["FunctionName"] == "abroad"
    daemon.aws.delete_function(FunctionName="abroad")
