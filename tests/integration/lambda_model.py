# SPDX-License-Identifier: Apache-2.0
"""Lambda's API held against botocore's service model. watch(client) checks every answer that a client gets; the tables below say what an operation has to show.

An operation that is new gets: its line in ANSWERS (a call that succeeds, and members that AWS always sends although the model calls none of them required), and its line in ERRORS: for each error
that the model lists for it a call which is answered with that, or nothing of it where NEVER or NEVER_OF says why it can't occur here. test_lambda_model.py runs them all and finds what is
missing; operations are those that src/lambda/ has rows for.

A call is a function of a `World` (test_lambda_model.py): w.aws is an admin's client, w.daemon the daemon, with the functions that the fixture deploys."""

import io
import itertools
import json
import re
import zipfile

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
PYTHON = {"string": str, "integer": int, "long": int, "boolean": bool, "structure": dict, "list": list, "map": dict, "blob": str}

# Of the front door, in no operation's list. RequestEntityTooLargeException is what AWS sends for what the model calls RequestTooLargeException.
FRONT_DOOR = {"MissingAuthenticationTokenException": 403, "UnrecognizedClientException": 403, "InvalidSignatureException": 403, "IncompleteSignatureException": 403, "AccessDeniedException": 403,
              "ValidationException": 400, "SerializationException": 400, "InvalidRequestContentException": 400, "UnknownOperationException": 404,
              "RequestEntityTooLargeException": 413, "TooManyRequestsException": 429}
WIRE_NAMES = {"RequestTooLargeException": "RequestEntityTooLargeException"}
# Members that came after Debian's model, and runtimes.
NEWER = {"LoggingConfig", "RuntimeVersionConfig"}
RUNTIME = re.compile(r"python3\.\d+|nodejs\d+\.x|provided(\.al2(023)?)?")
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


# ---- functions ----

def archive(text="#!/bin/sh\nexit 1\n"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = 0o100755 << 16
        z.writestr(info, text)
    return out.getvalue()


_names = itertools.count()
ROLE = "arn:aws:iam::000000000000:role/any"


def _create(w, name=None, **more):
    arguments = dict(FunctionName=name or f"model-{next(_names)}", Runtime="provided.al2", Handler="any", Role=ROLE, Code={"ZipFile": archive()})
    arguments.update(more)
    return w.aws.create_function(**arguments)


def _made(w, **more):
    return _create(w, **more)["FunctionName"]


def _of(method, **arguments):
    """A call about a function that was made for it."""
    return lambda w: getattr(w.aws, method)(FunctionName=_made(w, Publish=True, Environment={"Variables": {"KEY": "1"}}), **arguments)


def _of_nobody(method, **arguments):
    return lambda w: getattr(w.aws, method)(FunctionName="nobody", **arguments)


def _aliased(method, **arguments):
    def call(w):
        name = _made(w, Publish=True)
        w.aws.create_alias(FunctionName=name, Name="prod", FunctionVersion="1")
        return getattr(w.aws, method)(FunctionName=name, **arguments)
    return call


def _busy(method, **arguments):
    """While a deploy of the function is under way."""
    def call(w):
        name = _made(w)
        with w.deploying(name):
            return getattr(w.aws, method)(FunctionName=name, **arguments)
    return call


CONFIGURATION = {"FunctionName", "FunctionArn", "Runtime", "Role", "Handler", "CodeSize", "Description", "Timeout", "MemorySize", "LastModified", "CodeSha256", "Version",
                 "TracingConfig.Mode", "RevisionId", "State", "PackageType", "Architectures", "EphemeralStorage.Size", "SnapStart.ApplyOn",
                 "SnapStart.OptimizationStatus"}
SETTLED = CONFIGURATION | {"LastUpdateStatus"}
ALIAS = {"AliasArn", "Name", "FunctionVersion", "Description", "RevisionId"}
MALFORMED = "what is malformed is a ValidationException"
DISK = "faasd's own failures: a full disk"

ANSWERS.update({
    "CreateFunction": ([lambda w: _create(w), lambda w: _create(w, Publish=True)], CONFIGURATION | {"StateReason", "StateReasonCode"}),
    "GetFunction": ([_of("get_function"), _of("get_function", Qualifier="1"), lambda w: w.aws.get_function(FunctionName="json")],
                    {f"Configuration.{m}" for m in SETTLED} | {"Code.RepositoryType"}),
    "GetFunctionConfiguration": ([_of("get_function_configuration"), _of("get_function_configuration", Qualifier="1")], SETTLED | {"Environment.Variables"}),
    "ListFunctions": ([lambda w: w.aws.list_functions(), lambda w: w.aws.list_functions(FunctionVersion="ALL", MaxItems=2)], {"Functions"}),
    "UpdateFunctionCode": ([_of("update_function_code", ZipFile=archive("#!/bin/sh\n")), _of("update_function_code", ZipFile=archive(), DryRun=True)], SETTLED),
    "UpdateFunctionConfiguration": ([_of("update_function_configuration", Timeout=9), _of("update_function_configuration")], SETTLED),
    "DeleteFunction": ([_of("delete_function"), _of("delete_function", Qualifier="1")], set()),
    "PublishVersion": ([_of("publish_version"), lambda w: w.aws.publish_version(FunctionName=_made(w), Description="x")], SETTLED),
    "ListVersionsByFunction": ([_of("list_versions_by_function"), _of("list_versions_by_function", MaxItems=1)], {"Versions"}),
    "CreateAlias": ([_of("create_alias", Name="prod", FunctionVersion="1")], ALIAS),
    "GetAlias": ([_aliased("get_alias", Name="prod")], ALIAS),
    "UpdateAlias": ([_aliased("update_alias", Name="prod", FunctionVersion="$LATEST"), _aliased("update_alias", Name="prod")], ALIAS),
    "DeleteAlias": ([_aliased("delete_alias", Name="prod")], set()),
    "ListAliases": ([_aliased("list_aliases"), _aliased("list_aliases", FunctionVersion="1", MaxItems=1)], {"Aliases"}),
})

ERRORS = {
    "CreateFunction": {
        "InvalidParameterValueException": lambda w: _create(w, Runtime="basic"),
        "ResourceConflictException": lambda w: _create(w, "json"),
        "ResourceNotFoundException": lambda w: _create(w, "arn:aws:lambda:us-west-2:000000000000:function:x"),
        "CodeSigningConfigNotFoundException": lambda w: _create(w, CodeSigningConfigArn="arn:aws:lambda:eu-central-1:000000000000:code-signing-config:csc-" + "a" * 17),
    },
    "GetFunction": {"ResourceNotFoundException": _of_nobody("get_function"), "InvalidParameterValueException": lambda w: w.aws.get_function(
        FunctionName="json:1", Qualifier="$LATEST")},
    "GetFunctionConfiguration": {"ResourceNotFoundException": _of_nobody("get_function_configuration"), "InvalidParameterValueException":
                                 lambda w: w.aws.get_function_configuration(FunctionName="json:1", Qualifier="$LATEST")},
    "ListFunctions": {"InvalidParameterValueException": lambda w: w.aws.list_functions(Marker="?")},
    "UpdateFunctionCode": {
        "ResourceNotFoundException": _of_nobody("update_function_code", ZipFile=archive()),
        "InvalidParameterValueException": _of("update_function_code", ZipFile=b"no zip"),
        "PreconditionFailedException": _of("update_function_code", ZipFile=archive(), RevisionId="stale"),
        "ResourceConflictException": _busy("update_function_code", ZipFile=archive()),
    },
    "UpdateFunctionConfiguration": {
        "ResourceNotFoundException": _of_nobody("update_function_configuration", Timeout=9),
        "InvalidParameterValueException": _of("update_function_configuration", Runtime="basic"),
        "PreconditionFailedException": _of("update_function_configuration", Timeout=9, RevisionId="stale"),
        "ResourceConflictException": _busy("update_function_configuration", Timeout=9),
    },
    "DeleteFunction": {
        "ResourceNotFoundException": _of_nobody("delete_function"),
        "InvalidParameterValueException": _of("delete_function", Qualifier="$LATEST"),
        "ResourceConflictException": _busy("delete_function"),
    },
    "PublishVersion": {
        "ResourceNotFoundException": _of_nobody("publish_version"),
        "InvalidParameterValueException": _of("publish_version", CodeSha256="other"),
        "PreconditionFailedException": _of("publish_version", RevisionId="stale"),
        "ResourceConflictException": _busy("publish_version"),
    },
    "ListVersionsByFunction": {"ResourceNotFoundException": _of_nobody("list_versions_by_function"),
                               "InvalidParameterValueException": _of("list_versions_by_function", Marker="?")},
    "CreateAlias": {
        "ResourceNotFoundException": _of("create_alias", Name="prod", FunctionVersion="7"),
        "ResourceConflictException": _aliased("create_alias", Name="prod", FunctionVersion="$LATEST"),
        "InvalidParameterValueException": _of("create_alias", Name="prod", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}),
    },
    "GetAlias": {"ResourceNotFoundException": _of("get_alias", Name="prod")},
    "UpdateAlias": {
        "ResourceNotFoundException": _of("update_alias", Name="prod", FunctionVersion="1"),
        "PreconditionFailedException": _aliased("update_alias", Name="prod", FunctionVersion="1", RevisionId="stale"),
        "InvalidParameterValueException": _aliased("update_alias", Name="prod", FunctionVersion="$LATEST", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}),
    },
    "DeleteAlias": {},
    "ListAliases": {"ResourceNotFoundException": _of_nobody("list_aliases")},
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


# ---- Function URLs and policies ----

def _with_url(method, **arguments):
    """A call about a function that has a URL and one statement, "s1", in its policy."""
    def call(w):
        name = _made(w)
        w.aws.create_function_url_config(FunctionName=name, AuthType="NONE")
        _permit(w, name)
        return getattr(w.aws, method)(FunctionName=name, **arguments)
    return call


def _permit(w, name, statement="s1", **more):
    return w.aws.add_permission(FunctionName=name, StatementId=statement, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", **more)


def _permit_until_full(w):
    name = _made(w)
    for i in range(200):
        _permit(w, name, f"{i:0100}")
    raise AssertionError("a policy of 200 long statements is within the limit")


def _at_odds(method, **arguments):
    """The name says one qualifier and the query another."""
    return lambda w: getattr(w.aws, method)(FunctionName="json:1", Qualifier="prod", **arguments)


PERMISSION = {"StatementId": "s2", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
URL = {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
ANSWERS.update({
    "CreateFunctionUrlConfig": ([_of("create_function_url_config", AuthType="NONE")], URL),
    "GetFunctionUrlConfig": ([_with_url("get_function_url_config")], URL | {"LastModifiedTime"}),
    "UpdateFunctionUrlConfig": ([_with_url("update_function_url_config", AuthType="AWS_IAM")], URL | {"LastModifiedTime"}),
    "DeleteFunctionUrlConfig": ([_with_url("delete_function_url_config")], set()),
    "ListFunctionUrlConfigs": ([_with_url("list_function_url_configs"), _of("list_function_url_configs")], {"FunctionUrlConfigs"}),
    "AddPermission": ([_of("add_permission", **PERMISSION)], {"Statement"}),
    "RemovePermission": ([_with_url("remove_permission", StatementId="s1")], set()),
    "GetPolicy": ([_with_url("get_policy")], {"Policy", "RevisionId"}),
})
ERRORS.update({
    "CreateFunctionUrlConfig": {
        "ResourceNotFoundException": _of_nobody("create_function_url_config", AuthType="NONE"),
        "ResourceConflictException": _with_url("create_function_url_config", AuthType="AWS_IAM"),
        "InvalidParameterValueException": _at_odds("create_function_url_config", AuthType="NONE"),
    },
    "GetFunctionUrlConfig": {"ResourceNotFoundException": _of("get_function_url_config"), "InvalidParameterValueException": _at_odds("get_function_url_config")},
    "UpdateFunctionUrlConfig": {"ResourceNotFoundException": _of("update_function_url_config", AuthType="NONE"),
                                "InvalidParameterValueException": _at_odds("update_function_url_config", AuthType="NONE")},
    "DeleteFunctionUrlConfig": {"ResourceNotFoundException": _of("delete_function_url_config")},
    "ListFunctionUrlConfigs": {"ResourceNotFoundException": _of_nobody("list_function_url_configs"),
                               "InvalidParameterValueException": _with_url("list_function_url_configs", Marker="?")},
    "AddPermission": {
        "ResourceNotFoundException": _of_nobody("add_permission", **PERMISSION),
        "ResourceConflictException": _with_url("add_permission", **{**PERMISSION, "StatementId": "s1", "Principal": "sns.amazonaws.com"}),
        "InvalidParameterValueException": _at_odds("add_permission", **PERMISSION),
        "PreconditionFailedException": _with_url("add_permission", RevisionId="stale", **PERMISSION),
        "PolicyLengthExceededException": _permit_until_full,
    },
    "RemovePermission": {
        "ResourceNotFoundException": _with_url("remove_permission", StatementId="other"),
        "InvalidParameterValueException": _at_odds("remove_permission", StatementId="s1"),
        "PreconditionFailedException": _with_url("remove_permission", StatementId="s1", RevisionId="stale"),
    },
    "GetPolicy": {"ResourceNotFoundException": _of("get_policy"), "InvalidParameterValueException": _at_odds("get_policy")},
})
for _name in ("CreateFunctionUrlConfig", "GetFunctionUrlConfig", "UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig", "ListFunctionUrlConfigs", "AddPermission",
              "RemovePermission", "GetPolicy"):
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in ("UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig"):
    NEVER_OF[_name]["ResourceConflictException"] = "changes of URLs wait for each other"

NEVER_OF["InvokeAsync"] = NEVER_OF["Invoke"] = {"ResourceConflictException": "a function that is in the registry can be called"}
for _name in ("CreateFunction", "GetFunction", "GetFunctionConfiguration", "ListFunctions", "UpdateFunctionCode", "UpdateFunctionConfiguration", "DeleteFunction",
              "PublishVersion", "ListVersionsByFunction", "CreateAlias", "GetAlias", "UpdateAlias", "DeleteAlias", "ListAliases"):
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in ("CreateFunction", "UpdateFunctionCode", "PublishVersion"):
    NEVER_OF[_name]["CodeStorageExceededException"] = DISK
for _name in ("UpdateFunctionCode", "UpdateFunctionConfiguration"):
    NEVER_OF[_name]["CodeSigningConfigNotFoundException"] = "only CreateFunction names one"
for _name in ("GetAlias", "DeleteAlias", "ListAliases"):
    NEVER_OF[_name]["InvalidParameterValueException"] = MALFORMED
for _name in ("UpdateAlias", "DeleteAlias"):
    NEVER_OF[_name]["ResourceConflictException"] = "changes of aliases wait for each other"
NEVER_OF["GetAccountSettings"] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}


# ---- layers ----

def _layer(method, **arguments):
    """A call about a layer's version that was published for it."""
    def call(w):
        name = f"layer-{next(_names)}"
        w.aws.publish_layer_version(LayerName=name, Content={"ZipFile": archive()}, Description="x", LicenseInfo="MIT", CompatibleRuntimes=["python3.9"],
                                    CompatibleArchitectures=["arm64"])
        return getattr(w.aws, method)(LayerName=name, **arguments)
    return call


def _shared(method, **arguments):
    """The same of one that has a statement "s1" in its policy."""
    def call(w):
        name = f"layer-{next(_names)}"
        w.aws.publish_layer_version(LayerName=name, Content={"ZipFile": archive()})
        w.aws.add_layer_version_permission(LayerName=name, VersionNumber=1, **{**SHARE, "StatementId": "s1", "Principal": "111111111111"})
        return getattr(w.aws, method)(LayerName=name, VersionNumber=1, **arguments)
    return call


def _share_until_full(w):
    name = f"layer-{next(_names)}"
    w.aws.publish_layer_version(LayerName=name, Content={"ZipFile": archive()})
    for i in range(200):
        w.aws.add_layer_version_permission(LayerName=name, VersionNumber=1, **{**SHARE, "StatementId": f"{i:0100}"})
    raise AssertionError("a policy of 200 long statements is within the limit")


def _no_layer(method, **arguments):
    return lambda w: getattr(w.aws, method)(LayerName="nobody", VersionNumber=1, **arguments)


def _by_arn(w, number=1):
    name = f"layer-{next(_names)}"
    arn = w.aws.publish_layer_version(LayerName=name, Content={"ZipFile": archive()})["LayerVersionArn"]
    return w.aws.get_layer_version_by_arn(Arn=arn[:-1] + str(number))


SHARE = {"StatementId": "s2", "Action": "lambda:GetLayerVersion", "Principal": "*"}
LAYER = {"Content.CodeSha256", "Content.CodeSize", "LayerArn", "LayerVersionArn", "Description", "CreatedDate", "Version"}
ANSWERS.update({
    "PublishLayerVersion": ([lambda w: w.aws.publish_layer_version(LayerName="answers", Content={"ZipFile": archive()}, CompatibleRuntimes=["python3.9"])],
                            LAYER | {"CompatibleRuntimes"}),
    "GetLayerVersion": ([_layer("get_layer_version", VersionNumber=1)], LAYER | {"LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"}),
    "GetLayerVersionByArn": ([_by_arn], LAYER),
    "ListLayers": ([lambda w: (_layer("get_layer_version", VersionNumber=1)(w), w.aws.list_layers(MaxItems=1))], {"Layers"}),
    "ListLayerVersions": ([_layer("list_layer_versions"), lambda w: w.aws.list_layer_versions(LayerName="nobody")], {"LayerVersions"}),
    "DeleteLayerVersion": ([_layer("delete_layer_version", VersionNumber=1), _no_layer("delete_layer_version")], set()),
    "AddLayerVersionPermission": ([_layer("add_layer_version_permission", VersionNumber=1, **SHARE)], {"Statement", "RevisionId"}),
    "RemoveLayerVersionPermission": ([_shared("remove_layer_version_permission", StatementId="s1")], set()),
    "GetLayerVersionPolicy": ([_shared("get_layer_version_policy")], {"Policy", "RevisionId"}),
})
ERRORS.update({
    "PublishLayerVersion": {"InvalidParameterValueException": lambda w: w.aws.publish_layer_version(LayerName="bad", Content={"ZipFile": b"no zip"})},
    "GetLayerVersion": {"ResourceNotFoundException": _no_layer("get_layer_version")},
    "GetLayerVersionByArn": {"ResourceNotFoundException": lambda w: _by_arn(w, 2)},
    "ListLayers": {"InvalidParameterValueException": lambda w: w.aws.list_layers(Marker="?")},
    "ListLayerVersions": {"InvalidParameterValueException": _layer("list_layer_versions", Marker="?")},
    "DeleteLayerVersion": {},
    "AddLayerVersionPermission": {
        "ResourceNotFoundException": _no_layer("add_layer_version_permission", **SHARE),
        "ResourceConflictException": _shared("add_layer_version_permission", **{**SHARE, "StatementId": "s1"}),
        "PolicyLengthExceededException": _share_until_full,
        "PreconditionFailedException": _shared("add_layer_version_permission", RevisionId="stale", **SHARE),
    },
    "RemoveLayerVersionPermission": {
        "ResourceNotFoundException": _shared("remove_layer_version_permission", StatementId="other"),
        "PreconditionFailedException": _shared("remove_layer_version_permission", StatementId="s1", RevisionId="stale"),
    },
    "GetLayerVersionPolicy": {"ResourceNotFoundException": _layer("get_layer_version_policy", VersionNumber=1)},
})
for _name in ("PublishLayerVersion", "GetLayerVersion", "GetLayerVersionByArn", "ListLayers", "ListLayerVersions", "DeleteLayerVersion", "AddLayerVersionPermission",
              "RemoveLayerVersionPermission", "GetLayerVersionPolicy"):
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in ("GetLayerVersion", "GetLayerVersionByArn", "AddLayerVersionPermission", "RemoveLayerVersionPermission", "GetLayerVersionPolicy"):
    NEVER_OF[_name]["InvalidParameterValueException"] = MALFORMED
NEVER_OF["PublishLayerVersion"].update({"ResourceNotFoundException": "there is nothing that it needs", "CodeStorageExceededException": "test_lambda_layers.py: test_a_limit_of_versions"})
NEVER_OF["ListLayerVersions"]["ResourceNotFoundException"] = "a layer without versions is none: its list is empty, as on AWS"


# ---- what is kept and told ----

SOURCE = "arn:aws:sqs:eu-central-1:000000000000:queue"


def _mapped(method, **arguments):
    """A call about a mapping that was made for it."""
    def call(w):
        made = w.aws.create_event_source_mapping(FunctionName=_made(w), EventSourceArn=SOURCE, BatchSize=5, FilterCriteria={"Filters": [{"Pattern": "{}"}]})
        return getattr(w.aws, method)(UUID=made["UUID"], **arguments)
    return call


def _mapped_twice(w):
    name = _made(w)
    for size in (1, 2):
        w.aws.create_event_source_mapping(FunctionName=name, EventSourceArn=SOURCE, BatchSize=size)


def _unmapped(method, **arguments):
    return lambda w: getattr(w.aws, method)(UUID="00000000-0000-4000-8000-000000000000", **arguments)


CONFIG = "arn:aws:lambda:eu-central-1:000000000000:code-signing-config:csc-" + "a" * 17
MAPPING = {"UUID", "FunctionArn", "EventSourceArn", "LastModified", "State", "StateTransitionReason", "LastProcessingResult"}
ANSWERS.update({
    "CreateEventSourceMapping": ([_of("create_event_source_mapping", EventSourceArn=SOURCE), _of("create_event_source_mapping", EventSourceArn=SOURCE, Enabled=False,
                                                                                                BatchSize=7, MaximumBatchingWindowInSeconds=2)], MAPPING),
    "GetEventSourceMapping": ([_mapped("get_event_source_mapping")], MAPPING | {"BatchSize", "FilterCriteria.Filters"}),
    "UpdateEventSourceMapping": ([_mapped("update_event_source_mapping", BatchSize=9)], MAPPING | {"BatchSize", "FilterCriteria"}),
    "DeleteEventSourceMapping": ([_mapped("delete_event_source_mapping")], MAPPING),
    "ListEventSourceMappings": ([lambda w: (_mapped("get_event_source_mapping")(w), w.aws.list_event_source_mappings(MaxItems=1)),
                                 lambda w: w.aws.list_event_source_mappings(FunctionName="json", EventSourceArn=SOURCE)], {"EventSourceMappings"}),
    "GetFunctionCodeSigningConfig": ([_of("get_function_code_signing_config")], {"CodeSigningConfigArn", "FunctionName"}),
    "PutFunctionCodeSigningConfig": ([], set()),  # there is no configuration to name
    "DeleteFunctionCodeSigningConfig": ([_of("delete_function_code_signing_config")], set()),
})
ERRORS.update({
    "CreateEventSourceMapping": {
        "ResourceNotFoundException": _of_nobody("create_event_source_mapping", EventSourceArn=SOURCE),
        "ResourceConflictException": _mapped_twice,
        "InvalidParameterValueException": _of("create_event_source_mapping"),
    },
    "GetEventSourceMapping": {"ResourceNotFoundException": _unmapped("get_event_source_mapping")},
    "UpdateEventSourceMapping": {"ResourceNotFoundException": _unmapped("update_event_source_mapping", BatchSize=1)},
    "DeleteEventSourceMapping": {"ResourceNotFoundException": _unmapped("delete_event_source_mapping")},
    "ListEventSourceMappings": {"ResourceNotFoundException": lambda w: w.aws.list_event_source_mappings(FunctionName="nobody"),
                                "InvalidParameterValueException": lambda w: w.aws.list_event_source_mappings(Marker="?")},
    "GetFunctionCodeSigningConfig": {"ResourceNotFoundException": _of_nobody("get_function_code_signing_config")},
    "PutFunctionCodeSigningConfig": {"ResourceNotFoundException": _of_nobody("put_function_code_signing_config", CodeSigningConfigArn=CONFIG),
                                     "CodeSigningConfigNotFoundException": _of("put_function_code_signing_config", CodeSigningConfigArn=CONFIG)},
    "DeleteFunctionCodeSigningConfig": {"ResourceNotFoundException": _of_nobody("delete_function_code_signing_config")},
})
for _name in ("CreateEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping", "ListEventSourceMappings",
              "GetFunctionCodeSigningConfig", "PutFunctionCodeSigningConfig", "DeleteFunctionCodeSigningConfig"):
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in ("GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping", "GetFunctionCodeSigningConfig", "PutFunctionCodeSigningConfig",
              "DeleteFunctionCodeSigningConfig"):
    NEVER_OF[_name]["InvalidParameterValueException"] = MALFORMED
for _name in ("UpdateEventSourceMapping", "DeleteEventSourceMapping"):
    NEVER_OF[_name].update({"ResourceInUseException": "a mapping is never in transition", "ResourceConflictException": "one change at a time is what the store does"})
for _name in ("PutFunctionCodeSigningConfig", "DeleteFunctionCodeSigningConfig"):
    NEVER_OF[_name].update({"ResourceConflictException": "nothing is changed", "CodeSigningConfigNotFoundException": "without one there is nothing to remove"})


# ---- concurrency ----

def _reserved(method, count=1, **arguments):
    """A call about a function that has reserved concurrency."""
    def call(w):
        name = _made(w)
        w.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=count)
        return getattr(w.aws, method)(FunctionName=name, **arguments)
    return call


def _provisioned(method, **arguments):
    """A call about a function whose version 1 has one provisioned instance."""
    def call(w):
        name = _made(w, Publish=True)
        w.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
        try:
            return getattr(w.aws, method)(FunctionName=name, **arguments)
        finally:
            w.aws.delete_function(FunctionName=name)
    return call


PROVISIONED = {"RequestedProvisionedConcurrentExecutions", "AvailableProvisionedConcurrentExecutions", "AllocatedProvisionedConcurrentExecutions", "Status",
               "LastModified"}
CONCURRENCY = ("PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency")
PROVISIONING = ("PutProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig", "ListProvisionedConcurrencyConfigs")
ANSWERS.update({
    "PutFunctionConcurrency": ([_of("put_function_concurrency", ReservedConcurrentExecutions=1), _of("put_function_concurrency", ReservedConcurrentExecutions=0)],
                               {"ReservedConcurrentExecutions"}),
    "GetFunctionConcurrency": ([_reserved("get_function_concurrency")], {"ReservedConcurrentExecutions"}),
    "DeleteFunctionConcurrency": ([_reserved("delete_function_concurrency"), _of("delete_function_concurrency")], set()),
    "PutProvisionedConcurrencyConfig": ([_provisioned("put_provisioned_concurrency_config", Qualifier="1", ProvisionedConcurrentExecutions=2)], PROVISIONED),
    "GetProvisionedConcurrencyConfig": ([_provisioned("get_provisioned_concurrency_config", Qualifier="1")], PROVISIONED),
    "DeleteProvisionedConcurrencyConfig": ([_provisioned("delete_provisioned_concurrency_config", Qualifier="1")], set()),
    "ListProvisionedConcurrencyConfigs": ([_provisioned("list_provisioned_concurrency_configs"), _of("list_provisioned_concurrency_configs")],
                                          {"ProvisionedConcurrencyConfigs"}),
})
NO_VERSION = {"Qualifier": "7"}
ERRORS.update({
    "PutFunctionConcurrency": {
        "ResourceNotFoundException": _of_nobody("put_function_concurrency", ReservedConcurrentExecutions=1),
        "InvalidParameterValueException": _of("put_function_concurrency", ReservedConcurrentExecutions=1000000),
    },
    "GetFunctionConcurrency": {"ResourceNotFoundException": _of_nobody("get_function_concurrency"), "InvalidParameterValueException":
                               lambda w: w.aws.get_function_concurrency(FunctionName="json:1")},
    "DeleteFunctionConcurrency": {"ResourceNotFoundException": _of_nobody("delete_function_concurrency"), "InvalidParameterValueException":
                                  lambda w: w.aws.delete_function_concurrency(FunctionName="json:1")},
    "PutProvisionedConcurrencyConfig": {
        "ResourceNotFoundException": _of("put_provisioned_concurrency_config", ProvisionedConcurrentExecutions=1, **NO_VERSION),
        "InvalidParameterValueException": _of("put_provisioned_concurrency_config", ProvisionedConcurrentExecutions=1, Qualifier="$LATEST"),
    },
    "GetProvisionedConcurrencyConfig": {
        "ResourceNotFoundException": _of("get_provisioned_concurrency_config", **NO_VERSION),
        "ProvisionedConcurrencyConfigNotFoundException": _of("get_provisioned_concurrency_config", Qualifier="1"),
        "InvalidParameterValueException": _at_odds("get_provisioned_concurrency_config"),
    },
    "DeleteProvisionedConcurrencyConfig": {
        "ResourceNotFoundException": _of("delete_provisioned_concurrency_config", **NO_VERSION),
        "InvalidParameterValueException": _at_odds("delete_provisioned_concurrency_config"),
    },
    "ListProvisionedConcurrencyConfigs": {"ResourceNotFoundException": _of_nobody("list_provisioned_concurrency_configs"),
                                          "InvalidParameterValueException": _of("list_provisioned_concurrency_configs", Marker="?")},
})
for _name in CONCURRENCY + PROVISIONING:
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there", "ResourceConflictException": "changes of one function wait for each other"}
for _name in ("GetFunctionConcurrency", "GetProvisionedConcurrencyConfig", "ListProvisionedConcurrencyConfigs"):
    del NEVER_OF[_name]["ResourceConflictException"]


# ---- what holds for asynchronous calls ----

def _configured(method, **arguments):
    """A call about a function that has an event invoke configuration."""
    def call(w):
        name = _made(w)
        w.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
        return getattr(w.aws, method)(FunctionName=name, **arguments)
    return call


QUEUE = {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:000000000000:queue"}}}
EVENT_INVOKE = {"LastModified", "FunctionArn", "DestinationConfig.OnSuccess", "DestinationConfig.OnFailure"}
EVENT_INVOKES = ("PutFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig", "DeleteFunctionEventInvokeConfig",
                 "ListFunctionEventInvokeConfigs")
ANSWERS.update({
    "PutFunctionEventInvokeConfig": ([_of("put_function_event_invoke_config", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60),
                                      _of("put_function_event_invoke_config", Qualifier="1", DestinationConfig={
                                          "OnSuccess": {"Destination": "arn:aws:lambda:eu-central-1:000000000000:function:json"}})], EVENT_INVOKE),
    "UpdateFunctionEventInvokeConfig": ([_configured("update_function_event_invoke_config", MaximumEventAgeInSeconds=99)],
                                        EVENT_INVOKE | {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}),
    "GetFunctionEventInvokeConfig": ([_configured("get_function_event_invoke_config")], EVENT_INVOKE | {"MaximumRetryAttempts"}),
    "DeleteFunctionEventInvokeConfig": ([_configured("delete_function_event_invoke_config")], set()),
    "ListFunctionEventInvokeConfigs": ([_configured("list_function_event_invoke_configs"), _of("list_function_event_invoke_configs")],
                                       {"FunctionEventInvokeConfigs"}),
})
ERRORS.update({
    "PutFunctionEventInvokeConfig": {"ResourceNotFoundException": _of_nobody("put_function_event_invoke_config", MaximumRetryAttempts=0),
                                     "InvalidParameterValueException": _of("put_function_event_invoke_config", **QUEUE)},
    "UpdateFunctionEventInvokeConfig": {"ResourceNotFoundException": _of("update_function_event_invoke_config", MaximumRetryAttempts=0),
                                        "InvalidParameterValueException": _configured("update_function_event_invoke_config", **QUEUE)},
    "GetFunctionEventInvokeConfig": {"ResourceNotFoundException": _of("get_function_event_invoke_config"),
                                     "InvalidParameterValueException": _at_odds("get_function_event_invoke_config")},
    "DeleteFunctionEventInvokeConfig": {"ResourceNotFoundException": _of("delete_function_event_invoke_config"),
                                        "InvalidParameterValueException": _at_odds("delete_function_event_invoke_config")},
    "ListFunctionEventInvokeConfigs": {"ResourceNotFoundException": _of_nobody("list_function_event_invoke_configs"),
                                       "InvalidParameterValueException": _of("list_function_event_invoke_configs", Marker="?")},
})
for _name in EVENT_INVOKES:
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in EVENT_INVOKES[:2] + ("DeleteFunctionEventInvokeConfig",):
    NEVER_OF[_name]["ResourceConflictException"] = "changes of one function wait for each other"


# ---- tags ----

def _tagged(method, **arguments):
    """A call about the ARN of a function with one tag."""
    return lambda w: getattr(w.aws, method)(Resource=_create(w, Tags={"team": "blue"})["FunctionArn"], **arguments)


def _arn_of(name, method, **arguments):
    return lambda w: getattr(w.aws, method)(Resource=f"arn:aws:lambda:eu-central-1:000000000000:function:{name}", **arguments)


ANSWERS.update({
    "TagResource": ([_tagged("tag_resource", Tags={"stage": "prod"})], set()),
    "UntagResource": ([_tagged("untag_resource", TagKeys=["team", "other"])], set()),
    "ListTags": ([_tagged("list_tags"), _arn_of("json", "list_tags")], {"Tags"}),
})
ERRORS.update({
    "TagResource": {"ResourceNotFoundException": _arn_of("nobody", "tag_resource", Tags={"a": "b"}),
                    "InvalidParameterValueException": _tagged("tag_resource", Tags={"aws:x": "b"})},
    "UntagResource": {"ResourceNotFoundException": _arn_of("nobody", "untag_resource", TagKeys=["a"]),
                      "InvalidParameterValueException": _arn_of("json:1", "untag_resource", TagKeys=["a"])},
    "ListTags": {"ResourceNotFoundException": _arn_of("nobody", "list_tags"), "InvalidParameterValueException": _arn_of("json:1", "list_tags")},
})
for _name in ("TagResource", "UntagResource", "ListTags"):
    NEVER_OF[_name] = {MANAGEMENT_IS_NOT_THROTTLED: "see there"}
for _name in ("TagResource", "UntagResource"):
    NEVER_OF[_name]["ResourceConflictException"] = "tags may change while a function does"


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
    if kind == "string" and shape.name == "Runtime" and RUNTIME.fullmatch(value):
        return []
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
        if name not in members and name in NEWER:
            continue
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
