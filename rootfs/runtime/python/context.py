# SPDX-License-Identifier: Apache-2.0
"""The second argument of a handler, with the names that it has on AWS Lambda. What the frame says is looked at when it is asked for."""
import os
import time

NO_DEADLINE_MS = 0x7FFFFFFF

current = None  # the running invocation's context


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Client:
    def __init__(self, values):
        self.__dict__.update(values)


class ClientContext:
    """What Lambda's callers send in X-Amz-Client-Context."""

    def __init__(self, values):
        self.custom = values.get("custom")
        self.env = values.get("env")
        self.client = Client(values["client"]) if isinstance(values.get("client"), dict) else None


class Http(dict):
    """context.http["method"] and context.http.method: method, path, query, headers."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"context.http has method, path, query and headers, no '{name}'") from None


class Context:
    identity = Identity()

    def __init__(self, fields, deadline_ms):
        self._fields = fields
        self._deadline_ms = deadline_ms

    def __getattr__(self, name):
        # Only names that are not there yet come here.
        if name in PARSED and "_fields" in self.__dict__:
            parse(self, self.__dict__.pop("_fields"))
            return self.__dict__[name]
        raise AttributeError(f"the context has no '{name}'")

    def get_remaining_time_in_millis(self):
        if not self._deadline_ms:
            return NO_DEADLINE_MS
        return max(0, self._deadline_ms - time.time_ns() // 1_000_000)

    def log(self, message):
        print(message, flush=True)

    def __repr__(self):
        shown = ("aws_request_id", "function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb")
        return f"LambdaContext([{', '.join(f'{name}={getattr(self, name)}' for name in shown)}])"


PARSED = {"aws_request_id", "http", "invoked_function_arn", "client_context"}


def learn_function():
    """What is the same for all requests of this worker."""
    get = os.environ.get
    Context.function_name = get("AWS_LAMBDA_FUNCTION_NAME", "")
    Context.function_version = get("AWS_LAMBDA_FUNCTION_VERSION", "")
    Context.memory_limit_in_mb = get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    Context.log_group_name = get("AWS_LAMBDA_LOG_GROUP_NAME", "")
    Context.log_stream_name = get("AWS_LAMBDA_LOG_STREAM_NAME", "")


# No header can look like this: names of theirs begin with "http.", so what follows a header's value is never a root.
TRACE = b"\0trace_id\0Root="
traced = False


def take_trace(frame, end):
    """X-Ray's and OpenTelemetry's libraries look for it in the environment. Most requests have none: that costs them one search."""
    global traced
    at = frame.find(TRACE, 32, end)
    if at >= 0:
        begin = at + 10
        os.environ["_X_AMZN_TRACE_ID"] = bytes(frame[begin : frame.index(b"\0", begin)]).decode("latin-1")
        traced = True
    elif traced:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
        traced = False


def parse(context, fields):
    """Bytes of headers need not be UTF-8: each is a character, as in WSGI."""
    words = bytes(fields).decode("latin-1").split("\0")
    pairs = list(zip(words[0::2], words[1::2]))
    first = {}
    headers = {}
    for name, value in pairs:
        if not name.startswith("http."):
            first.setdefault(name, value)
            continue
        name = name[5:]
        if name in headers:
            value = headers[name] + ("; " if name == "cookie" else ",") + value
        headers[name] = value
    known = context.__dict__
    known["aws_request_id"] = first.get("request_id", "")
    known["http"] = Http(method=first.get("method", ""), path=first.get("path", ""), query=first.get("query", ""), headers=headers)
    known["invoked_function_arn"] = first.get("function_arn") or default_arn(context)
    known["client_context"] = read_client_context(first.get("client_context"))


def default_arn(context):
    region = os.environ.get("AWS_REGION") or "us-east-1"
    return f"arn:aws:lambda:{region}:000000000000:function:{context.function_name}"


def read_client_context(text):
    if not text:
        return None
    from _faasd import values

    try:
        read = values.read(text.encode("latin-1"))
    except values.Unreadable:
        return None
    return ClientContext(read) if isinstance(read, dict) else None
