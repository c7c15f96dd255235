# SPDX-License-Identifier: Apache-2.0
"""Lambda's API held against botocore's service model. watch(client) checks every answer that a client gets; the tables below say what an operation has to show.

An operation that is new gets: its line in ANSWERS (a call that succeeds, and members that AWS always sends although the model calls none of them required), and its line in ERRORS: for each error
that the model lists for it a call which is answered with that, or nothing of it where NEVER or NEVER_OF says why it can't occur here. test_lambda_model.py runs them all and finds what is
missing; operations are those that src/lambda/ has rows for.

A call is a function of a `World` (test_lambda_model.py): w.aws is an admin's client, w.daemon the daemon, with the functions that the fixture deploys."""

import json
import re

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
PYTHON = {"string": str, "integer": int, "long": int, "boolean": bool, "structure": dict, "list": list, "map": dict, "blob": str}

# Of the front door, in no operation's list. RequestEntityTooLargeException is what AWS sends for what the model calls RequestTooLargeException.
FRONT_DOOR = {"MissingAuthenticationTokenException": 403, "UnrecognizedClientException": 403, "InvalidSignatureException": 403, "AccessDeniedException": 403,
              "ValidationException": 400, "SerializationException": 400, "InvalidRequestContentException": 400, "UnknownOperationException": 404,
              "RequestEntityTooLargeException": 413, "TooManyRequestsException": 429}
WIRE_NAMES = {"RequestTooLargeException": "RequestEntityTooLargeException"}
# What the model's older text says and AWS does not do any more, or leaves open.
STATUSES = {"DeleteFunction": {204}, "Invoke": {200, 202, 204}, "ListTags": {200}}

NEVER = {
    **{name: "faasd has no such part of AWS" for name in (
        "EC2UnexpectedException", "EC2ThrottledException", "EC2AccessDeniedException", "SubnetIPAddressLimitReachedException", "ENILimitReachedException",
        "InvalidSubnetIDException", "InvalidSecurityGroupIDException", "EFSMountConnectivityException", "EFSMountFailureException", "EFSMountTimeoutException",
        "EFSIOException", "SnapStartException", "SnapStartTimeoutException", "SnapStartNotReadyException", "KMSDisabledException", "KMSInvalidStateException",
        "KMSAccessDeniedException", "KMSNotFoundException", "CodeVerificationFailedException", "InvalidCodeSignatureException", "ResourceNotReadyException")},
    "ServiceException": "faasd's own failures: a full disk, no memory",
    "InvalidZipFileException": "an archive is unpacked when it is uploaded, and refused then",
    "InvalidRuntimeException": "a runtime is looked for when it is named, and refused then",
    "UnsupportedMediaTypeException": "the type of an event is not looked at: what counts is whether it is JSON",
}
# TooManyRequestsException: only invocations are throttled; what manages functions is let in or not.
MANAGEMENT_IS_NOT_THROTTLED = "TooManyRequestsException"
NEVER_OF = {}


def _invoke(name, payload=b"{}", **more):
    return lambda w: w.aws.invoke(FunctionName=name, Payload=payload, **more)


ANSWERS = {
    "Invoke": ([_invoke("echo"), _invoke("echo", LogType="Tail"), _invoke("fails"), _invoke("echo", InvocationType="Event"), _invoke("echo", InvocationType="DryRun")],
               set()),
    "InvokeAsync": ([lambda w: w.aws.invoke_async(FunctionName="echo", InvokeArgs=b"{}")], set()),
    "GetAccountSettings": ([lambda w: w.aws.get_account_settings()],
                           {"AccountLimit", "AccountLimit.TotalCodeSize", "AccountLimit.CodeSizeUnzipped", "AccountLimit.CodeSizeZipped",
                            "AccountLimit.ConcurrentExecutions", "AccountLimit.UnreservedConcurrentExecutions", "AccountUsage", "AccountUsage.TotalCodeSize",
                            "AccountUsage.FunctionCount"}),
}

ERRORS = {
    "Invoke": {
        "ResourceNotFoundException": _invoke("nobody"),
        "InvalidRequestContentException": _invoke("json", b"{nonsense"),
        "RequestTooLargeException": _invoke("echo", b"x" * 6291457),
        "TooManyRequestsException": lambda w: w.throttled(),
        "InvalidParameterValueException": _invoke("echo:1", Qualifier="$LATEST"),
    },
    "InvokeAsync": {
        "ResourceNotFoundException": lambda w: w.aws.invoke_async(FunctionName="nobody", InvokeArgs=b"{}"),
        "InvalidRequestContentException": lambda w: w.aws.invoke_async(FunctionName="json", InvokeArgs=b"{nonsense"),
    },
    "GetAccountSettings": {},
}
NEVER_OF["InvokeAsync"] = NEVER_OF["Invoke"] = {"ResourceConflictException": "a function that is in the registry can be called"}
NEVER_OF["GetAccountSettings"] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}


# ---- one answer ----

def _faults(shape, value, at):
    """What of a JSON value the model does not allow."""
    kind = shape.type_name
    if kind == "timestamp":
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if good else [f"{at} is a time, and comes as {value!r}"]
    if kind in ("double", "float"):
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{at} is a number, and comes as {value!r}"]
    if not isinstance(value, PYTHON[kind]) or (kind in ("integer", "long") and isinstance(value, bool)):
        return [f"{at} is {kind}, and comes as {value!r}"]
    if kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{at} is one of {shape.enum}, and comes as {value!r}"]
    if kind == "string" and shape.name == "Timestamp" and not ISO.fullmatch(value):
        return [f"{at} is a time, and comes as {value!r}"]
    if kind == "list":
        return [f for i, v in enumerate(value) for f in _faults(shape.member, v, f"{at}[{i}]")]
    if kind == "map":
        return [f for k, v in value.items() for f in _faults(shape.value, v, f"{at}.{k}")]
    return _member_faults(shape, value, at) if kind == "structure" else []


def _member_faults(shape, value, at):
    members = {m.serialization.get("name", name): m for name, m in shape.members.items() if "location" not in m.serialization}
    found = [f"{at}.{name} is missing" for name in shape.required_members if name in members and name not in value]
    for name, v in value.items():
        if name not in members:
            found.append(f"{at}.{name} is in no model")
        elif v is not None:
            found += _faults(members[name], v, f"{at}.{name}")
    return found


def _error_faults(operation, headers, status, body):
    code = headers.get("x-amzn-ErrorType", "")
    shapes = {WIRE_NAMES.get(s.name, s.name): s for s in operation.error_shapes}
    if code not in shapes:
        wanted = FRONT_DOOR.get(code)
        return [] if wanted == status else [f"{code} ({status}) is no error of {operation.name}"]
    shape = shapes[code]
    wanted = shape.metadata["error"]["httpStatusCode" if "httpStatusCode" in shape.metadata["error"] else "httpStatus"] if "error" in shape.metadata else status
    found = _member_faults(shape, body, code)
    if status != wanted and not (code == "ServiceException" and status == 503):
        found.append(f"{code} comes with {status} and not {wanted}")
    if not ({"message", "Message"} & set(body)):
        found.append(f"{code} says nothing")
    if status == 429 and "Retry-After" not in headers:
        found.append("429 without Retry-After")
    return found


def faults(operation, response):
    """What is wrong with an answer (botocore's AWSResponse) to an operation (its OperationModel)."""
    found = []
    if not UUID.fullmatch(response.headers.get("x-amzn-RequestId", "")):
        found.append("no x-amzn-RequestId that is a lower-case UUID")
    if response.status_code >= 300:
        return found + _error_faults(operation, response.headers, response.status_code, json.loads(response.content))
    allowed = STATUSES.get(operation.name, {operation.http.get("responseCode", 200)})
    if response.status_code not in allowed:
        found.append(f"{response.status_code} is not the status of {operation.name}: {allowed}")
    shape = operation.output_shape
    if shape is None or not shape.members:
        return found + ([f"a body where there is none: {response.content!r}"] if response.content else [])
    if shape.serialization.get("payload"):
        return found
    return found + _faults(shape, json.loads(response.content or b"{}"), operation.name)


def missing(body, paths):
    """Which of "Configuration.FunctionName" ... are not in an answer."""
    def has(value, path):
        for part in path.split("."):
            if not isinstance(value, dict) or part not in value:
                return False
            value = value[part]
        return True
    return sorted(path for path in paths if not has(body, path))


def watch(client):
    """Every answer of this client is held against the model from now on."""
    def on_answer(http_response, parsed, model, **_):
        found = faults(model, http_response)
        assert not found, f"{model.name}: {found}"
    client.meta.events.register("after-call", on_answer)
    return client
