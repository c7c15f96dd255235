# SPDX-License-Identifier: Apache-2.0
"""Halves a picture that an S3-style event names, as the classic Lambda tutorial does.

A bucket is a directory: one that was granted and mounted at /mnt/NAME, or one of that name beside this file. The tutorial uploads the result
to "NAME-resized"; here it goes there when that directory is mounted for writing, and otherwise into the reply.
"""
import base64
import io
import pathlib
import urllib.parse

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
MOUNTS = pathlib.Path("/mnt")
Image.init()  # the formats' modules: once here, not in each request


def bucket_directory(bucket):
    for parent in (MOUNTS, HERE):
        directory = (parent / bucket).resolve()
        if directory.parent == parent and directory.is_dir():
            return directory
    raise FileNotFoundError(f"there is no bucket '{bucket}': mount a directory at {MOUNTS / bucket}, or deploy one named '{bucket}'")


def object_path(directory, key):
    path = (directory / key).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise PermissionError(f"the key '{key}' leads out of its bucket")
    return path


def halve(source):
    """The picture's bytes at half its width and height, in its own format."""
    with Image.open(source) as image:
        size = (max(1, image.width // 2), max(1, image.height // 2))
        out = io.BytesIO()
        image.resize(size).save(out, image.format)
    return out.getvalue(), size, Image.MIME[image.format]


def resize(record):
    bucket = record["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
    data, size, content_type = halve(object_path(bucket_directory(bucket), key))
    result = {"bucket": bucket, "key": key, "width": size[0], "height": size[1], "contentType": content_type}
    resized = MOUNTS / f"{bucket}-resized"
    if not resized.is_dir():
        return {**result, "body": base64.b64encode(data).decode()}
    target = object_path(resized, f"resized-{key}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return {**result, "written": str(target)}


def handler(event, context):
    results = [resize(record) for record in event["Records"]]
    for result in results:
        print(f"{result['bucket']}/{result['key']}: {result['width']}x{result['height']}")
    return results
