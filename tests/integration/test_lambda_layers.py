# SPDX-License-Identifier: Apache-2.0
"""Layers through Lambda's API: published, listed, removed, and seen by functions at /opt."""

import base64
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import zipfile

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import FAASD, Faasd, wait_until
from lambda_client import ACCOUNT, REGION, admin, aws, client
from test_lambda_functions import HOST, ROLE, RUNTIME, make_zip, refused

LOOK = """import os
def handler(event, context):
    if "read" in event:
        return open(event["read"]).read()
    if "module" in event:
        return __import__(event["module"]).WORD
    if "run" in event:
        import subprocess
        return subprocess.run(event["run"], capture_output=True, text=True, check=True).stdout
    if "write" in event:
        try:
            open(event["write"], "w")
        except OSError as e:
            return e.strerror
        return "written"
    return sorted(os.listdir("/opt"))
"""


def layer_arn(name, number=None, region=REGION, account=ACCOUNT):
    return f"arn:aws:lambda:{region}:{account}:layer:{name}" + (f":{number}" if number else "")


def tree_zip(files):
    """NAME: text, ("x", text) for a program, ("l", target) for a link."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, value in files.items():
            kind, text = value if isinstance(value, tuple) else ("f", value)
            info = zipfile.ZipInfo(name)
            mode = {"f": stat.S_IFREG | 0o644, "x": stat.S_IFREG | 0o755, "l": stat.S_IFLNK | 0o777}[kind]
            info.create_system, info.external_attr = 3, mode << 16
            z.writestr(info, text)
    return out.getvalue()


@pytest.fixture(scope="module")
def zips():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def daemon(zips):
    with Faasd({"failed_credentials": 100000, "code_buckets": {"zips": str(zips)}}) as d:
        d.aws = admin(d)
        d.again = admin(d)  # the same request a second time, signed with another key: within one second it would bear the same signature
        d.raw = client(d, create_token(d, "admin"), parameter_validation=False)
        yield d


def publish(daemon, name, files, **more):
    return daemon.aws.publish_layer_version(LayerName=name, Content={"ZipFile": tree_zip(files)}, **more)["LayerVersionArn"]


def create(daemon, name, layers, **more):
    arguments = dict(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": make_zip({"app.py": LOOK})}, Layers=layers)
    arguments.update(more)
    return daemon.aws.create_function(**arguments)


def ask(daemon, name, **event):
    reply = daemon.aws.invoke(FunctionName=name.split(":")[0], Payload=json.dumps(event), **({"Qualifier": name.split(":")[1]} if ":" in name else {}))
    value = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, value
    return value


def trees(daemon):
    return set(os.listdir(daemon.root / "state" / "versions"))


def test_a_version_is_published_and_described(daemon):
    code = tree_zip({"python/a.py": "WORD = 'a'\n"})
    made = daemon.aws.publish_layer_version(LayerName="described", Description="first", LicenseInfo="MIT", Content={"ZipFile": code},
                                            CompatibleRuntimes=[RUNTIME, "nodejs18.x"], CompatibleArchitectures=[HOST])
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    sha = base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert made["Content"] == {"CodeSize": len(code), "CodeSha256": sha}
    assert (made["LayerArn"], made["LayerVersionArn"], made["Version"]) == (layer_arn("described"), layer_arn("described", 1), 1)
    assert (made["Description"], made["LicenseInfo"], made["CompatibleRuntimes"], made["CompatibleArchitectures"]) == ("first", "MIT", [RUNTIME, "nodejs18.x"], [HOST])
    made.pop("ResponseMetadata")
    for got in (daemon.aws.get_layer_version(LayerName="described", VersionNumber=1), daemon.aws.get_layer_version(LayerName=layer_arn("described"), VersionNumber=1),
                daemon.aws.get_layer_version_by_arn(Arn=layer_arn("described", 1))):
        got.pop("ResponseMetadata")
        assert got == made
    assert daemon.aws.publish_layer_version(LayerName=layer_arn("described"), Content={"ZipFile": code})["Version"] == 2


def test_versions_and_layers_are_listed(daemon):
    for i in range(3):
        publish(daemon, "listed", {"n": str(i)}, **({"CompatibleRuntimes": ["ruby2.7"]} if i < 2 else {"CompatibleArchitectures": ["arm64"]}))
    publish(daemon, "listed-too", {"n": "x"}, CompatibleRuntimes=["ruby2.7"])
    numbers = lambda **more: [v["Version"] for v in daemon.aws.list_layer_versions(LayerName="listed", **more)["LayerVersions"]]
    assert numbers() == [3, 2, 1] and numbers(CompatibleRuntime="ruby2.7") == [2, 1] and numbers(CompatibleArchitecture="arm64") == [3]
    page = daemon.aws.list_layer_versions(LayerName="listed", MaxItems=2)
    assert [v["Version"] for v in page["LayerVersions"]] == [3, 2] and numbers(Marker=page["NextMarker"]) == [1]
    layers = {item["LayerName"]: item for item in daemon.aws.list_layers()["Layers"]}
    assert layers["listed"]["LatestMatchingVersion"]["Version"] == 3 and layers["listed"]["LayerArn"] == layer_arn("listed")
    ruby = daemon.aws.list_layers(CompatibleRuntime="ruby2.7")["Layers"]
    assert [(item["LayerName"], item["LatestMatchingVersion"]["Version"]) for item in ruby] == [("listed", 2), ("listed-too", 1)]
    page = daemon.aws.list_layers(CompatibleRuntime="ruby2.7", MaxItems=1)
    assert [item["LayerName"] for item in page["Layers"]] == ["listed"]
    assert [item["LayerName"] for item in daemon.aws.list_layers(CompatibleRuntime="ruby2.7", Marker=page["NextMarker"])["Layers"]] == ["listed-too"]
    assert numbers(CompatibleRuntime="python2.7") == [] and daemon.aws.list_layer_versions(LayerName="nobody")["LayerVersions"] == []
    for call, arguments in ((daemon.aws.list_layers, {}), (daemon.aws.list_layer_versions, {"LayerName": "listed"})):
        assert "marker" in refused(call, "InvalidParameterValueException", 400, Marker="what", **arguments)


def test_numbers_are_not_given_again(daemon):
    for expected in (1, 2):
        assert publish(daemon, "numbers", {"n": str(expected)}) == layer_arn("numbers", expected)
    assert daemon.aws.delete_layer_version(LayerName="numbers", VersionNumber=2)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert daemon.again.delete_layer_version(LayerName="numbers", VersionNumber=2)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(daemon.aws.get_layer_version, "ResourceNotFoundException", 404, LayerName="numbers", VersionNumber=2) == "The resource you requested does not exist."
    assert publish(daemon, "numbers", {"n": "3"}) == layer_arn("numbers", 3)
    assert [v["Version"] for v in daemon.aws.list_layer_versions(LayerName="numbers")["LayerVersions"]] == [3, 1]


def test_a_function_sees_its_layer(daemon):
    arn = publish(daemon, "one", {"python/word.py": "WORD = 'one'\n", "bin/tool": ("x", "#!/bin/sh\necho tool\n"), "lib/libx.so": "x", "data": "here", "alias": ("l", "data")})
    made = create(daemon, "sees", [arn])
    assert [item["Arn"] for item in made["Layers"]] == [arn] and made["Layers"][0]["CodeSize"] > 0
    assert ask(daemon, "sees") == ["alias", "bin", "data", "lib", "python"]
    assert ask(daemon, "sees", module="word") == "one" and ask(daemon, "sees", run=["tool"]) == "tool\n"
    assert ask(daemon, "sees", read="/opt/alias") == "here" and ask(daemon, "sees", write="/opt/x") == "Read-only file system"
    assert daemon.aws.get_function_configuration(FunctionName="sees")["Layers"] == made["Layers"]
    daemon.aws.update_function_code(FunctionName="sees", ZipFile=make_zip({"app.py": LOOK + "#\n"}))
    assert ask(daemon, "sees", read="/opt/data") == "here", "new code keeps the layers"
    daemon.aws.update_function_configuration(FunctionName="sees", Timeout=4)
    assert ask(daemon, "sees", read="/opt/data") == "here"
    daemon.cli("config", "sees", "--memory", "192M")
    assert ask(daemon, "sees", read="/opt/data") == "here", "so does what is changed another way"
    assert "Layers" not in daemon.aws.update_function_configuration(FunctionName="sees", Layers=[])
    assert ask(daemon, "sees") == []


def test_a_package_directory_of_the_interpreter(daemon):
    arn = publish(daemon, "packages", {f"python/lib/{RUNTIME}/site-packages/deep.py": "WORD = 'deep'\n"})
    create(daemon, "packaged", [arn])
    assert ask(daemon, "packaged", module="deep") == "deep"


def test_a_handler_that_lies_in_a_layer(daemon):
    arn = publish(daemon, "wrapper", {"python/wrapper.py": "def handler(event, context):\n    import app\n    return ['wrapped', app.handler(event, context)]\n"})
    create(daemon, "wrapped", [arn], Handler="wrapper.handler")
    assert ask(daemon, "wrapped") == ["wrapped", ["python"]]


def test_node_finds_modules_of_a_layer(daemon):
    if not shutil.which("node"):
        pytest.skip("no node on this host")
    arn = publish(daemon, "modules", {"nodejs/node_modules/word/index.js": "module.exports = 'node'\n"})
    major = subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True).stdout.strip()
    create(daemon, "noded", [arn], Runtime=f"nodejs{major}.x", Handler="index.handler",
           Code={"ZipFile": make_zip({"index.js": "exports.handler = async () => require('word')\n"})})
    assert ask(daemon, "noded") == "node"


def test_a_bootstrap_in_a_layer(daemon):
    text = ("#!/bin/sh\nwhile :; do\n  H=$(mktemp)\n  E=$(curl -sS -D $H http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next)\n"
            "  ID=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p' $H | tr -d '\\r')\n"
            "  curl -sS -X POST http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/response -d \"\\\"$(cat /var/task/word)\\\"\" >/dev/null\ndone\n")
    arn = publish(daemon, "runtime", {"bootstrap": ("x", text)})
    create(daemon, "provided", [arn], Runtime="provided.al2", Handler="any", Code={"ZipFile": make_zip({"word": "from opt"})})
    assert ask(daemon, "provided") == "from opt"


def test_later_layers_take_the_place_of_earlier_ones(daemon):
    first = publish(daemon, "first", {"same": "1", "only1": "1", "dir/a": "1", "dir/both": "1", "turns": "a file", "turned/x": "1", "link": ("l", "same")})
    second = publish(daemon, "second", {"same": "2", "dir/b": "2", "dir/both": "2", "turns/now": "a directory", "turned": "a file now", "link": "no link"})
    create(daemon, "merged", [first, second])
    assert ask(daemon, "merged") == ["dir", "link", "only1", "same", "turned", "turns"]
    for path, text in (("same", "2"), ("only1", "1"), ("dir/a", "1"), ("dir/b", "2"), ("dir/both", "2"), ("turns/now", "a directory"), ("turned", "a file now"), ("link", "no link")):
        assert ask(daemon, "merged", read=f"/opt/{path}") == text
    daemon.aws.update_function_configuration(FunctionName="merged", Layers=[second, first])
    assert [item["Arn"] for item in daemon.aws.get_function_configuration(FunctionName="merged")["Layers"]] == [second, first]
    for path, text in (("same", "1"), ("turns", "a file"), ("turned/x", "1"), ("link", "1")):
        assert ask(daemon, "merged", read=f"/opt/{path}") == text


def test_a_set_of_layers_is_one_tree(daemon):
    arns = [publish(daemon, f"set{i}", {f"s{i}": str(i)}) for i in range(5)]
    create(daemon, "five", arns)
    before = trees(daemon)
    create(daemon, "five-too", arns, Code={"ZipFile": make_zip({"app.py": LOOK})})
    assert trees(daemon) <= before and ask(daemon, "five-too") == [f"s{i}" for i in range(5)] == ask(daemon, "five")


def test_what_was_removed_goes_on_serving(daemon):
    arns = [publish(daemon, name, {name: name}) for name in ("kept1", "kept2")]
    create(daemon, "keeps", arns, Publish=True)
    create(daemon, "keeps-one", arns[:1])
    daemon.aws.update_function_configuration(FunctionName="keeps", Layers=arns[:1])
    for name in ("kept1", "kept2"):
        daemon.aws.delete_layer_version(LayerName=name, VersionNumber=1)
    assert ask(daemon, "keeps") == ["kept1"] == ask(daemon, "keeps-one") and ask(daemon, "keeps:1") == ["kept1", "kept2"]
    daemon.aws.update_function_configuration(FunctionName="keeps-one", Timeout=5)
    assert ask(daemon, "keeps-one") == ["kept1"]
    assert refused(daemon.aws.update_function_configuration, "InvalidParameterValueException", 400, FunctionName="keeps-one",
                   Layers=arns[:1]) == f"Layer version {arns[0]} does not exist."
    before = trees(daemon)
    daemon.aws.delete_function(FunctionName="keeps")
    daemon.aws.delete_function(FunctionName="keeps-one")
    wait_until(lambda: len(before - trees(daemon)) >= 2, "the trees of layers that nobody uses any more are collected")


def test_the_same_layers_again_are_not_merged_again(daemon):
    """With the layers' own trees out of the way, what has to be merged can't be."""
    others = trees(daemon)
    arns = [publish(daemon, f"same{i}", {f"python/same{i}.py": f"WORD = {i}\n"}) for i in range(3)]
    layers = trees(daemon) - others
    create(daemon, "same", arns[:2])
    place = daemon.root / "state" / "versions"
    for tree in layers:
        (place / tree).rename(place / (tree + ".away"))
    try:
        daemon.aws.update_function_configuration(FunctionName="same", Layers=arns[:2], Timeout=7)
        refused(daemon.aws.update_function_configuration, "ServiceException", 500, FunctionName="same", Layers=arns[1::-1])
    finally:
        for tree in layers:
            (place / (tree + ".away")).rename(place / tree)
    after = daemon.aws.get_function_configuration(FunctionName="same")
    assert [layer["Arn"] for layer in after["Layers"]] == arns[:2] and after["Timeout"] == 7
    assert ask(daemon, "same", module="same1") == 1
    for layers in (arns[1::-1], arns, arns[:1], arns[:2]):  # another order, one more, one less, and back
        daemon.aws.update_function_configuration(FunctionName="same", Layers=layers)
        assert [layer["Arn"] for layer in daemon.aws.get_function_configuration(FunctionName="same")["Layers"]] == layers
        assert ask(daemon, "same") == ["python"]
        assert daemon.aws.invoke(FunctionName="same", Payload=json.dumps({"module": "same2"})).get("FunctionError") == (None if arns[2] in layers else "Unhandled")


def test_a_rollback_says_what_becomes_of_layers(daemon):
    one, two = publish(daemon, "back-one", {"one": "1"}), publish(daemon, "back-two", {"two": "2"})
    create(daemon, "back", [one], Publish=True)
    daemon.aws.update_function_configuration(FunctionName="back", Layers=[two])
    daemon.aws.publish_version(FunctionName="back")
    daemon.aws.update_function_configuration(FunctionName="back", Layers=[], Role=ROLE + "-other")
    daemon.aws.publish_version(FunctionName="back")
    assert ask(daemon, "back") == []
    lines = lambda text: [line.strip() for line in text.splitlines()]
    back = lines(daemon.cli("rollback", "back").stdout.decode())
    assert any(re.fullmatch(r"layers none -> [0-9a-f]{12}", line) for line in back) and f"role {ROLE}-other -> {ROLE}" in back, back
    assert ask(daemon, "back") == ["two"]
    assert any(re.fullmatch(r"layers ([0-9a-f]{12}) -> (?!\1)[0-9a-f]{12}", line) for line in lines(daemon.cli("rollback", "back", "1").stdout.decode()))
    assert ask(daemon, "back") == ["one"]


def test_what_is_refused(daemon):
    arn = publish(daemon, "good", {"a": "a"})
    bad = lambda layers: refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="bad", layers=layers)
    assert bad([arn] * 6) == "Cannot reference more than 5 layers."
    for absent in (layer_arn("good", 2), layer_arn("nobody", 1), layer_arn("good", 1, region="us-west-2"), layer_arn("good", 1, account="111111111111")):
        assert bad([absent]) == f"Layer version {absent} does not exist."
    publish(daemon, "good", {"a": "b"})
    second = layer_arn("good", 2)
    assert bad([arn, second]) == "Two different versions of the same layer are not allowed to be referenced in the same function. " \
        f"{arn} and {second} are versions of the same layer."
    assert bad([second, second]) == f"The layer version {second} is referenced twice: name it once."
    raw = daemon.raw.publish_layer_version
    assert "at 'layerName' failed" in refused(raw, "ValidationException", 400, LayerName="a b", Content={"ZipFile": b"x"})
    assert "at 'compatibleRuntimes" in refused(raw, "ValidationException", 400, LayerName="x", Content={"ZipFile": b"x"}, CompatibleRuntimes=["cobol"])
    assert "at 'content' failed" in refused(raw, "ValidationException", 400, LayerName="x")
    assert refused(raw, "InvalidParameterValueException", 400, LayerName="x", Content={}) == "Please provide a source for function code."
    for content, words in ((b"", "non-empty zip"), (b"this is no zip", "Could not unzip"), (tree_zip({"a": "a" * 100})[:60], "Could not unzip"),
                           (tree_zip({"../a": "a"}), "Could not unzip"), (tree_zip({"out": ("l", "../../etc/passwd")}), "Could not unzip")):
        assert words in refused(raw, "InvalidParameterValueException", 400, LayerName="x", Content={"ZipFile": content})
    assert daemon.aws.list_layer_versions(LayerName="x")["LayerVersions"] == []
    for name in (layer_arn("x", region="us-west-2"), layer_arn("x", account="111111111111")):
        refused(raw, "InvalidParameterValueException", 400, LayerName=name, Content={"ZipFile": tree_zip({"a": "a"})})


def test_sizes_count_together(daemon):
    big = lambda name, mib: publish(daemon, name, {"big-" + name: b"\0" * (mib << 20)})
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_STORED) as z:
        z.writestr("app.py", LOOK)
        z.writestr("fill", b"\0" * (26 << 20))
    arns = [big(f"big{i}", 45) for i in range(5)]
    create(daemon, "fits", arns)
    message = refused(daemon.aws.update_function_code, "InvalidParameterValueException", 400, FunctionName="fits", ZipFile=zeros.getvalue())
    assert message.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes")
    create(daemon, "filled", arns[:1], Code={"ZipFile": zeros.getvalue()})
    message = refused(daemon.aws.update_function_configuration, "InvalidParameterValueException", 400, FunctionName="filled", Layers=arns)
    assert message.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is ")


def test_a_layer_comes_from_a_bucket(daemon, zips):
    (zips / "layer.zip").write_bytes(tree_zip({"stored": "in a bucket"}))
    made = daemon.aws.publish_layer_version(LayerName="bucketed", Content={"S3Bucket": "zips", "S3Key": "layer.zip"})
    create(daemon, "bucketed", [made["LayerVersionArn"]])
    assert ask(daemon, "bucketed", read="/opt/stored") == "in a bucket"
    assert "NoSuchKey" in refused(daemon.aws.publish_layer_version, "InvalidParameterValueException", 400, LayerName="bucketed", Content={"S3Bucket": "zips", "S3Key": "no.zip"})


def test_policies_are_kept_and_told(daemon):
    publish(daemon, "shared", {"a": "a"})
    of = {"LayerName": "shared", "VersionNumber": 1}
    assert "No policy" in refused(daemon.aws.get_layer_version_policy, "ResourceNotFoundException", 404, **of)
    made = daemon.aws.add_layer_version_permission(StatementId="all", Action="lambda:GetLayerVersion", Principal="*", OrganizationId="o-0123456789", **of)
    statement = json.loads(made["Statement"])
    assert statement == {"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion", "Resource": layer_arn("shared", 1),
                         "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}}
    second = daemon.aws.add_layer_version_permission(StatementId="one", Action="lambda:GetLayerVersion", Principal="111111111111", RevisionId=made["RevisionId"], **of)
    policy = daemon.aws.get_layer_version_policy(**of)
    assert policy["RevisionId"] == second["RevisionId"]
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement, json.loads(second["Statement"])]}
    again = dict(StatementId="one", Action="lambda:GetLayerVersion", Principal="*", **of)
    assert "already exists" in refused(daemon.aws.add_layer_version_permission, "ResourceConflictException", 409, **again)
    refused(daemon.aws.remove_layer_version_permission, "PreconditionFailedException", 412, StatementId="one", RevisionId=made["RevisionId"], **of)
    daemon.aws.remove_layer_version_permission(StatementId="one", **of)
    refused(daemon.again.remove_layer_version_permission, "ResourceNotFoundException", 404, StatementId="one", **of)
    daemon.aws.remove_layer_version_permission(StatementId="all", **of)
    refused(daemon.aws.get_layer_version_policy, "ResourceNotFoundException", 404, **of)


def test_the_cli_drives_them(daemon, zips):
    token = create_token(daemon, "admin")
    (zips / "cli.zip").write_bytes(tree_zip({"said": "cli"}))
    made = aws(daemon, token, "lambda", "publish-layer-version", "--layer-name", "cli", "--zip-file", f"fileb://{zips}/cli.zip", "--compatible-runtimes", RUNTIME)
    assert made["LayerVersionArn"] == layer_arn("cli", 1)
    assert aws(daemon, token, "lambda", "list-layer-versions", "--layer-name", "cli")["LayerVersions"][0]["Version"] == 1
    assert aws(daemon, token, "lambda", "get-layer-version-by-arn", "--arn", layer_arn("cli", 1))["CompatibleRuntimes"] == [RUNTIME]
    aws(daemon, token, "lambda", "delete-layer-version", "--layer-name", "cli", "--version-number", "1")
    assert aws(daemon, token, "lambda", "list-layer-versions", "--layer-name", "cli") == {"LayerVersions": []}


def test_a_limit_of_versions():
    with Faasd({"lambda": {"layers": 1}}) as d:
        d.aws = admin(d)
        publish(d, "a", {"a": "a"})
        assert "lambda.layers" in refused(d.aws.publish_layer_version, "CodeStorageExceededException", 400, LayerName="b", Content={"ZipFile": tree_zip({"b": "b"})})


def test_they_outlive_a_restart_a_backup_and_what_they_were_made_of():
    place = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    place.chmod(0o755)
    try:
        (place / "one").mkdir()
        (place / "two").mkdir()
        with Faasd(root=place / "one") as d:
            d.aws = admin(d)
            arns = [publish(d, name, {name: name}) for name in ("a", "b", "unused")]
            create(d, "lasts", arns[:2], Publish=True)
            d.aws.delete_layer_version(LayerName="a", VersionNumber=1)
        with Faasd(root=place / "one") as d:
            d.aws = admin(d)
            assert ask(d, "lasts") == ["a", "b"] == ask(d, "lasts:1")
        assert subprocess.run([FAASD, "backup", place / "all.tar", "--with-key", "--root", place / "one"], capture_output=True).returncode == 0
        done = subprocess.run([FAASD, "restore", place / "all.tar", "--root", place / "two"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with Faasd(root=place / "two") as d:
            d.aws = admin(d)
            assert ask(d, "lasts") == ["a", "b"]
            create(d, "again", [arns[2]])
            assert ask(d, "again") == ["unused"]
            with pytest.raises(ClientError):
                d.aws.get_layer_version(LayerName="a", VersionNumber=1)
    finally:
        shutil.rmtree(place, ignore_errors=True)
