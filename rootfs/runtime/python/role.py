# SPDX-License-Identifier: Apache-2.0
"""The credentials of the function's role, from the file that faasd put there: set in this process alone, so that no environment of /proc shows them."""
import os
import sys

from _faasd import values

NAMES = (("AccessKeyId", "AWS_ACCESS_KEY_ID"), ("SecretAccessKey", "AWS_SECRET_ACCESS_KEY"), ("SessionToken", "AWS_SESSION_TOKEN"))


def take(path):
    for _, variable in NAMES:
        os.environ.pop(variable, None)
    try:
        with open(path, "rb") as file:
            found = values.read(file.read())
        texts = {variable: found[name] for name, variable in NAMES if name in found}
        if len({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(texts)) < 2 or not all(type(text) is str for text in texts.values()):
            raise ValueError
    except Exception:  # whatever it is, the function runs without
        sys.stderr.write("faasd: the secret of this function's role (lambda.roles) is no JSON object with AccessKeyId and SecretAccessKey: no credentials are set\n")
        return
    os.environ.update(texts)
