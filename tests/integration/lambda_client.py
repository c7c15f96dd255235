# SPDX-License-Identifier: Apache-2.0
"""Clients of Lambda's API as people have them: boto3 and the AWS CLI, with an endpoint URL and a token's two keys as their only settings."""

import json
import os
import subprocess

import boto3
from botocore.config import Config

from access import create_token
from harness import DEADLINE

ACCOUNT = "000000000000"
REGION = "eu-central-1"
AWS = "/usr/bin/aws"  # Debian's, whatever else is in PATH


def endpoint(daemon):
    return f"http://127.0.0.1:{daemon.port}"


def client(daemon, token, service="lambda", region=REGION, **options):
    return boto3.client(service, endpoint_url=endpoint(daemon), region_name=region, aws_access_key_id=token["accessKeyId"],
                        aws_secret_access_key=token["secretAccessKey"],
                        config=Config(retries={"max_attempts": 0}, read_timeout=DEADLINE, **options))


def admin(daemon, **options):
    return client(daemon, create_token(daemon, "admin"), **options)


def arn(name, region=REGION, account=ACCOUNT):
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def aws(daemon, token, *args, check=True, region=REGION):
    """`aws ARGS`: what it printed, as JSON where it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": token["accessKeyId"],
                   "AWS_SECRET_ACCESS_KEY": token["secretAccessKey"], "AWS_DEFAULT_REGION": region, "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run([AWS, "--endpoint-url", endpoint(daemon), "--cli-binary-format", "raw-in-base64-out", *args],
                          env=environment, capture_output=True, timeout=DEADLINE)
    if check:
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout) if done.stdout.strip() else None
    return done
