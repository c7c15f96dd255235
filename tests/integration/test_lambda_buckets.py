# SPDX-License-Identifier: Apache-2.0
"""Code of functions that comes from files: S3Bucket and S3Key are read in the directories of `code_buckets`."""

import base64
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import tempfile
import zipfile

import pytest

from harness import Faasd, wait_until
from lambda_client import admin
from test_lambda_functions import ROLE, RUNTIME, python_zip, refused, said

NO_KEY = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
NO_BUCKET = "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"


@pytest.fixture(scope="module")
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def daemon(place):
    (place / "zips" / "deep").mkdir(parents=True)
    (place / "zips").chmod(0o700)  # the gateway could not look into it by itself
    (place / "secret.zip").write_bytes(python_zip("secret"))
    with Faasd({"code_buckets": {"zips": str(place / "zips"), "gone": str(place / "gone")}}) as d:
        d.aws = admin(d)
        d.zips = place / "zips"
        yield d


def create(daemon, name, **code):
    return daemon.aws.create_function(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code=code)


def test_a_function_comes_from_a_bucket(daemon):
    code = python_zip("from a file")
    (daemon.zips / "deep" / "a.zip").write_bytes(code)
    made = create(daemon, "stored", S3Bucket="zips", S3Key="deep/a.zip")
    assert made["CodeSize"] == len(code) and made["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert said(daemon, "stored") == "from a file"
    (daemon.zips / "b.zip").write_bytes(python_zip("the next"))
    daemon.aws.update_function_code(FunctionName="stored", S3Bucket="zips", S3Key="b.zip", S3ObjectVersion="null")
    assert said(daemon, "stored") == "the next"


def test_a_large_archive_comes_in_many_pieces(daemon):
    noise = os.urandom(3 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("noise", noise)
        z.writestr("app.py", "import hashlib\ndef handler(event, context):\n    return {'said': hashlib.sha256(open('/var/task/noise','rb').read()).hexdigest()}\n")
    (daemon.zips / "large.zip").write_bytes(out.getvalue())
    create(daemon, "large", S3Bucket="zips", S3Key="large.zip")
    assert said(daemon, "large") == hashlib.sha256(noise).hexdigest()


@pytest.mark.parametrize("key", ["absent.zip", "../secret.zip", "deep/../../secret.zip", "/etc/passwd", "deep", "link.zip", "out/secret.zip", "pipe", ".", "k" * 1024])
def test_what_is_not_in_the_bucket_is_not_found(daemon, place, key):
    for name, target in (("link.zip", place / "secret.zip"), ("out", place)):
        if not (daemon.zips / name).is_symlink():
            (daemon.zips / name).symlink_to(target)
    if not (daemon.zips / "pipe").exists():
        os.mkfifo(daemon.zips / "pipe")
    assert refused(daemon.aws.create_function, "InvalidParameterValueException", 400, FunctionName="none", Runtime=RUNTIME, Role=ROLE, Handler="app.handler",
                   Code={"S3Bucket": "zips", "S3Key": key}) == NO_KEY


@pytest.mark.parametrize("bucket", ["nothing", "gone"])
def test_a_bucket_that_is_not_there(daemon, bucket):
    assert refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="none", S3Bucket=bucket, S3Key="a.zip") == NO_BUCKET


def test_what_an_object_has_to_be(daemon):
    (daemon.zips / "empty.zip").write_bytes(b"")
    (daemon.zips / "text.zip").write_bytes(b"this is no archive")
    (daemon.zips / "cut.zip").write_bytes(python_zip("cut")[:60])
    with open(daemon.zips / "huge.zip", "wb") as f:
        f.truncate(262144001)
    for key, words in (("empty.zip", "Uploaded file must be a non-empty zip"), ("text.zip", "Could not unzip uploaded file"), ("cut.zip", "Could not unzip uploaded file"),
                       ("huge.zip", "Unzipped size must be smaller than 262144000 bytes")):
        assert words in refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="none", S3Bucket="zips", S3Key=key)
    assert "NoSuchVersion" in refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="none", S3Bucket="zips", S3Key="empty.zip", S3ObjectVersion="7")
    assert "both of S3Bucket and S3Key" in refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="none", S3Bucket="zips")
    assert [f for f in daemon.system()["functions"] if f["name"] == "none"] == []


def test_two_sources_are_none(daemon):
    """Which of the two was meant can't be known."""
    (daemon.zips / "both.zip").write_bytes(python_zip("from a file"))
    words = "Please do not provide other FunctionCode parameters when providing a ZipFile."
    for more in ({"S3Bucket": "zips", "S3Key": "both.zip"}, {"S3Key": "both.zip"}, {"S3ObjectVersion": "null"}):
        assert refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="both", ZipFile=python_zip("sent"), **more) == words
    create(daemon, "both", ZipFile=python_zip("sent"))
    assert refused(daemon.aws.update_function_code, "InvalidParameterValueException", 400, FunctionName="both", ZipFile=python_zip("other"), S3Bucket="zips",
                   S3Key="both.zip") == words
    assert said(daemon, "both") == "sent"
    assert refused(daemon.aws.publish_layer_version, "InvalidParameterValueException", 400, LayerName="both",
                   Content={"ZipFile": python_zip("x"), "S3Bucket": "zips", "S3Key": "both.zip"}) == words


def test_a_reload_brings_a_bucket(daemon, place):
    (place / "more").mkdir()
    (place / "more" / "c.zip").write_bytes(python_zip("reloaded"))
    assert refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="early", S3Bucket="more", S3Key="c.zip") == NO_BUCKET
    config = json.loads((daemon.root / "config.json").read_text())
    config["code_buckets"] = {"more": str(place / "more")}
    (daemon.root / "config.json").write_text(json.dumps(config))
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the new configuration is in use" in daemon.log_text(), "the reload")
    create(daemon, "later", S3Bucket="more", S3Key="c.zip")
    assert said(daemon, "later") == "reloaded"
    assert refused(create, "InvalidParameterValueException", 400, daemon=daemon, name="former", S3Bucket="zips", S3Key="b.zip") == NO_BUCKET
