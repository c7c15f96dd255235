# SPDX-License-Identifier: Apache-2.0
"""Function URLs: their configuration by boto3, requests by path and by host, who is let in, CORS, and what AWS's clients see of errors."""

import base64
import contextlib
import http.client
import json
import pathlib
import re
import signal
import tempfile

import pytest
from botocore.exceptions import ClientError

from access import ask_signed, create_token, sign
from harness import Faasd, wait_until
from lambda_client import REGION, admin, arn, aws, client

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DOMAIN = "functions.example.org"
ECHO = """
import json, os, sys
def handler(event, context):
    if event.get("headers", {}).get("content-type") != "application/json" or "body" not in event:
        return event
    asked = json.loads(event["body"])
    if asked == "raise":
        raise ValueError("as asked")
    if asked == "exit":
        os._exit(3)
    return asked
"""


def deploy_python(daemon, name, source, *options):
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory).chmod(0o755)
        path = pathlib.Path(directory, "app.py")
        path.write_text(source)
        return daemon.deploy(name, path, "--runtime", "python", "--handler", "app.handler", *options)


@pytest.fixture(scope="module")
def api():
    with Faasd({"failed_credentials": 100000}, args=("--listen", "127.0.0.1:0", "--url-domain", DOMAIN)) as daemon:
        deploy_python(daemon, "echo", ECHO)
        daemon.token = create_token(daemon, "admin")
        daemon.aws = client(daemon, daemon.token)
        daemon.open_id = make_url(daemon, "echo")
        yield daemon


def refused(call, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    e = caught.value.response
    assert (e["Error"]["Code"], e["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), e
    return e["Error"]["Message"]


def again(daemon):
    """What is said twice within a second bears the same signature, which two seconds later is taken no more: another key signs it."""
    return admin(daemon)


def id_of(config):
    found = re.match(r"https?://([a-z0-9]{32})\." + re.escape(DOMAIN) + r":\d+/$", config["FunctionUrl"])
    assert found, config
    return found.group(1)


def let_everybody(daemon, name, **more):
    return daemon.aws.add_permission(FunctionName=name, StatementId="everybody", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE", **more)


def make_url(daemon, name, auth="NONE", **more):
    """A URL that everybody may call; its id."""
    made = daemon.aws.create_function_url_config(FunctionName=name, AuthType=auth, **more)
    if auth == "NONE":
        let_everybody(daemon, name, **({"Qualifier": more["Qualifier"]} if "Qualifier" in more else {}))
    return id_of(made)


@pytest.fixture
def fresh(api, request):
    """A function of this test's own."""
    name = re.sub("[^A-Za-z0-9_-]", "_", request.node.name)[-50:]
    deploy_python(api, name, ECHO)
    yield name
    if api.control("GET", f"/v1/functions/{name}").status == 200:
        api.cli("rm", name)


def answer(api, reply, url_id=None, **headers):
    """What a caller of the URL gets of this reply of the function's."""
    return api.request("POST", f"/url/{url_id or api.open_id}", json.dumps(reply), {"Content-Type": "application/json", **headers})


# -- requests --

def test_the_event_is_payload_format_2(api):
    got = api.request("PUT", f"/url/{api.open_id}/a%20b?x=1&x=2", b"\x00\xff", {"Cookie": "k=v; l=w", "Content-Type": "image/png", "User-Agent": "me"})
    assert got.status == 200 and got.headers["Content-Type"] == "application/json"
    assert UUID.fullmatch(got.headers["x-amzn-RequestId"]) and not got.headers["X-Request-Id"] and not got.headers["X-Faasd-Start"]
    event = got.json()
    context = event["requestContext"]
    assert (event["version"], event["rawPath"], event["rawQueryString"], event["cookies"]) == ("2.0", "/a%20b", "x=1&x=2", ["k=v", "l=w"])
    assert event["isBase64Encoded"] is True and base64.b64decode(event["body"]) == b"\x00\xff"
    assert (context["apiId"], context["domainPrefix"], context["accountId"]) == (api.open_id, api.open_id, "anonymous")
    assert context["requestId"] == got.headers["x-amzn-RequestId"] and context["http"]["sourceIp"] == "127.0.0.1"
    assert context["http"] == {"method": "PUT", "path": "/a%20b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "me"}


def test_the_host_names_the_url_too(api):
    for path in ("/function/echo", "/v1/functions", "/a/b", "/"):
        got = api.request("GET", path, headers={"Host": f"{api.open_id}.{DOMAIN}:{api.port}"})
        assert got.status == 200 and got.json()["rawPath"] == path
        assert got.json()["requestContext"]["domainName"] == f"{api.open_id}.{DOMAIN}:{api.port}"
    assert api.request("GET", "/healthz", headers={"Host": f"{api.open_id[1:]}.{DOMAIN}"}).headers["X-Request-Id"]
    assert api.request("GET", "/healthz", headers={"Host": f"{'a' * 32}.{DOMAIN}"}).status == 403
    assert api.request("GET", "/healthz", headers={"Host": f"{api.open_id}.{DOMAIN}.net"}).headers["X-Request-Id"]


def test_replies_are_said_or_inferred(api):
    got = answer(api, {"statusCode": "418", "headers": {"X-A": "b", "Content-Type": "text/plain"}, "cookies": ["a=b", "c=d"], "body": "tea"})
    assert got.status == 418 and got.body == b"tea" and got.headers["X-A"] == "b" and got.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
    assert UUID.fullmatch(got.headers["x-amzn-RequestId"])
    got = answer(api, "hello")
    assert got.body == b"hello" and got.headers["Content-Type"] == "application/json" and got.headers["Content-Length"] == "5"
    assert answer(api, {"hello": "world"}).headers["Content-Length"] == "17"


@pytest.mark.parametrize("reply", ["raise", "exit", {"statusCode": "soon"}, {"statusCode": 200, "body": {}}])
def test_what_goes_wrong_inside_is_502_and_no_more(api, reply):
    got = answer(api, reply)
    assert got.status == 502 and got.body == b"Internal Server Error" and got.headers["Content-Type"] == "text/plain"
    assert UUID.fullmatch(got.headers["x-amzn-RequestId"])
    assert api.control("GET", f"/v1/invocations/{got.headers['x-amzn-RequestId']}").json()["status"] == "failed"


@pytest.mark.parametrize("url_id", ["a" * 32, "short", "A" * 32, "%61" * 32, ""])
def test_an_unknown_url_is_not_told_from_a_forbidden_one(api, url_id):
    got = api.request("GET", f"/url/{url_id}/x")
    assert got.status == 403 and got.json() == {"Message": None} and got.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    assert UUID.fullmatch(got.headers["x-amzn-RequestId"])


def test_a_body_over_the_limit_is_refused(api):
    got = api.request("POST", f"/url/{api.open_id}", bytes((6 << 20) + 1))
    assert got.status == 413 and got.headers["x-amzn-ErrorType"] == "RequestEntityTooLargeException"
    got = api.request("POST", f"/url/{api.open_id}", bytes(5 << 20))  # as base64 it is too long
    assert got.status == 413


def test_a_cgi_program_is_told_by_cgi(api):
    api.deploy_script("cgi", "#!/bin/sh\nprintf 'Status: 404\\r\\n\\r\\n%s %s' \"$REQUEST_METHOD\" \"$PATH_INFO\"\n", "--contract", "cgi")
    got = api.request("PUT", f"/url/{make_url(api, 'cgi')}/there")
    assert got.status == 404 and got.body == b"PUT /there"


# -- who may --

def test_none_needs_a_permission_for_everybody(api, fresh):
    url_id = id_of(api.aws.create_function_url_config(FunctionName=fresh, AuthType="NONE"))

    def status():
        got = api.request("GET", f"/url/{url_id}")
        assert got.status == 200 or got.json() == {"Message": "Forbidden"}
        return got.status

    assert status() == 403
    for sid, more in (("a", {"Action": "lambda:InvokeFunction"}), ("b", {"Principal": "123456789012"}), ("c", {"FunctionUrlAuthType": "AWS_IAM"}),
                      ("d", {"SourceAccount": "123456789012"})):
        api.aws.add_permission(**{"FunctionName": fresh, "StatementId": sid, "Action": "lambda:InvokeFunctionUrl", "Principal": "*", **more})
        assert status() == 403, more
    let_everybody(api, fresh)
    assert status() == 200
    api.aws.remove_permission(FunctionName=fresh, StatementId="everybody")
    assert status() == 403


def test_iam_needs_a_signature_of_who_may_invoke(api, fresh):
    url_id = id_of(api.aws.create_function_url_config(FunctionName=fresh, AuthType="AWS_IAM"))
    other = create_token(api, "invoke:echo")
    mine = create_token(api, f"invoke:{fresh}")
    let_everybody(api, fresh)  # does not stand in for a signature
    assert api.request("GET", f"/url/{url_id}").status == 403
    assert ask_signed(api, "loopback", other, "GET", f"/url/{url_id}").status == 403
    wrong = {**mine, "secretAccessKey": mine["secretAccessKey"][:-1] + "x"}
    assert ask_signed(api, "loopback", wrong, "GET", f"/url/{url_id}").status == 403
    got = ask_signed(api, "loopback", mine, "POST", f"/url/{url_id}/p", b"x")
    assert got.status == 200
    event = got.json()
    assert event["requestContext"]["accountId"] == "000000000000"
    iam = event["requestContext"]["authorizer"]["iam"]
    assert iam["accessKey"] == mine["accessKeyId"] and iam["accountId"] == "000000000000" and iam["userArn"].startswith("arn:aws:iam::000000000000:user/")
    assert "authorization" not in event["headers"]


def test_the_urls_auth_counts_and_not_the_functions(api, fresh):
    url_id = make_url(api, fresh)
    api.cli("config", fresh, "--auth", "admin")
    assert api.invoke(fresh).status == 401
    assert api.request("GET", f"/url/{url_id}").status == 200


# -- CORS --

CORS = {"AllowOrigins": ["https://a.example", "https://*.b.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a", "x-b"], "ExposeHeaders": ["x-c"], "MaxAge": 60,
        "AllowCredentials": True}


def preflight(api, url_id, origin, **headers):
    return api.request("OPTIONS", f"/url/{url_id}", headers={"Origin": origin, "Access-Control-Request-Method": "PUT", **headers})


def test_cors_of_a_url(api, fresh):
    url_id = make_url(api, fresh, Cors=CORS)
    for origin in ("https://a.example", "https://x.b.example"):
        got = preflight(api, url_id, origin)
        assert got.status == 200 and got.body == b"" and UUID.fullmatch(got.headers["x-amzn-RequestId"])
        assert got.headers["Access-Control-Allow-Origin"] == origin and got.headers["Vary"] == "Origin"
        assert (got.headers["Access-Control-Allow-Methods"], got.headers["Access-Control-Allow-Headers"]) == ("GET, PUT", "x-a, x-b")
        assert got.headers["Access-Control-Max-Age"] == "60" and got.headers["Access-Control-Allow-Credentials"] == "true"
    got = preflight(api, url_id, "https://evil.example")
    assert got.status == 200 and not [h for h in got.headers if h.lower().startswith("access-control")]
    assert api.control("GET", f"/v1/invocations?function={fresh}").json()["invocations"] == []
    got = answer(api, {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*", "X-C": "1"}}, url_id, Origin="https://a.example")
    assert got.headers.get_all("Access-Control-Allow-Origin") == ["https://a.example"] and got.headers["Access-Control-Expose-Headers"] == "x-c"
    got = answer(api, "raise", url_id, Origin="https://a.example")
    assert got.status == 502 and got.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert not answer(api, "x", url_id).headers["Access-Control-Allow-Origin"]


def test_without_cors_the_function_answers_itself(api):
    got = preflight(api, api.open_id, "https://a.example")
    assert got.json()["requestContext"]["http"]["method"] == "OPTIONS"
    got = answer(api, {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}, Origin="https://a.example")
    assert got.headers["Access-Control-Allow-Origin"] == "*"


def test_cors_for_everybody(api, fresh):
    url_id = make_url(api, fresh, Cors={"AllowOrigins": ["*"], "AllowMethods": ["*"]})
    got = preflight(api, url_id, "https://any.example")
    assert got.headers["Access-Control-Allow-Origin"] == "*" and got.headers["Access-Control-Allow-Methods"] == "*" and not got.headers["Vary"]


# -- the operations --

def test_a_urls_life(api, fresh):
    made = api.aws.create_function_url_config(FunctionName=fresh, AuthType="AWS_IAM", Cors={"MaxAge": 5})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201 and "InvokeMode" not in made
    assert made["FunctionArn"] == arn(fresh) and made["AuthType"] == "AWS_IAM" and made["Cors"] == {"MaxAge": 5}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["CreationTime"])
    got = api.aws.get_function_url_config(FunctionName=fresh)
    assert {k: got[k] for k in ("FunctionUrl", "FunctionArn", "AuthType", "Cors", "CreationTime")} == {k: made[k] for k in ("FunctionUrl", "FunctionArn", "AuthType", "Cors", "CreationTime")}
    assert got["LastModifiedTime"] == got["CreationTime"]
    changed = api.aws.update_function_url_config(FunctionName=fresh, AuthType="NONE")
    assert changed["FunctionUrl"] == made["FunctionUrl"] and changed["AuthType"] == "NONE" and changed["Cors"] == {"MaxAge": 5}
    assert api.aws.update_function_url_config(FunctionName=fresh, Cors={"AllowOrigins": ["*"]})["Cors"] == {"AllowOrigins": ["*"]}
    listed = api.aws.list_function_url_configs(FunctionName=fresh)
    assert [c["FunctionUrl"] for c in listed["FunctionUrlConfigs"]] == [made["FunctionUrl"]] and "NextMarker" not in listed
    assert api.aws.delete_function_url_config(FunctionName=fresh)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert api.request("GET", f"/url/{id_of(made)}").json() == {"Message": None}
    assert api.aws.list_function_url_configs(FunctionName=fresh)["FunctionUrlConfigs"] == []


def test_the_invoke_mode_is_kept_where_it_was_given(api, fresh):
    """Debian's botocore does not know it."""
    path = f"/2021-10-31/functions/{fresh}/url"
    got = ask_signed(api, "loopback", api.token, "POST", path, json.dumps({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"}).encode())
    assert got.status == 201 and got.json()["InvokeMode"] == "RESPONSE_STREAM"
    got = ask_signed(api, "loopback", api.token, "PUT", path, json.dumps({"InvokeMode": "BUFFERED"}).encode())
    assert got.json()["InvokeMode"] == "BUFFERED"
    got = ask_signed(api, "loopback", api.token, "PUT", path, json.dumps({"InvokeMode": "SOMETIMES"}).encode())
    assert got.status == 400 and "Member must satisfy enum value set: [BUFFERED, RESPONSE_STREAM]" in got.json()["message"]


def test_aliases_have_urls_of_their_own(api, fresh):
    deploy_python(api, fresh, "def handler(event, context): return 'second'\n")
    api.cli("alias", "set", fresh, "blue", "1")
    api.cli("alias", "set", fresh, "green", "2")
    ids = {q: make_url(api, fresh, Qualifier=q) for q in ("blue", "green")}
    ids[""] = make_url(api, fresh)
    assert api.request("GET", f"/url/{ids['green']}").body == b"second" == api.request("GET", f"/url/{ids['']}").body
    assert api.request("GET", f"/url/{ids['blue']}").json()["requestContext"]["apiId"] == ids["blue"]
    assert api.aws.get_function_url_config(FunctionName=f"{fresh}:blue")["FunctionArn"] == arn(fresh) + ":blue"
    pages = [api.aws.list_function_url_configs(FunctionName=fresh, MaxItems=1)]
    while "NextMarker" in pages[-1]:
        pages.append(api.aws.list_function_url_configs(FunctionName=fresh, MaxItems=1, Marker=pages[-1]["NextMarker"]))
    assert [id_of(p["FunctionUrlConfigs"][0]) for p in pages] == [ids[""], ids["blue"], ids["green"]]
    api.cli("alias", "rm", fresh, "blue")
    assert api.request("GET", f"/url/{ids['blue']}").json() == {"Message": None}


def test_each_error_of_the_operations(api, fresh):
    f = api.aws
    for call in (f.get_function_url_config, f.update_function_url_config, f.delete_function_url_config):
        assert refused(call, "ResourceNotFoundException", 404, FunctionName=fresh) == "The resource you requested does not exist."
        assert refused(call, "ResourceNotFoundException", 404, FunctionName="nobody") == f"Function not found: {arn('nobody')}"
    f.create_function_url_config(FunctionName=fresh, AuthType="NONE")
    assert refused(again(api).create_function_url_config, "ResourceConflictException", 409, FunctionName=fresh, AuthType="NONE") == \
        f"Failed to create function url config for [functionArn = {arn(fresh)}]. Error message:  FunctionUrlConfig exists for this Lambda function"
    assert refused(f.create_function_url_config, "ResourceNotFoundException", 404, FunctionName=fresh, AuthType="NONE", Qualifier="blue") == f"Function not found: {arn(fresh)}:blue"
    assert "Member must satisfy enum value set: [NONE, AWS_IAM]" in refused(f.create_function_url_config, "ValidationException", 400, FunctionName=fresh, AuthType="SOME")
    assert "at 'qualifier' failed to satisfy constraint" in refused(f.get_function_url_config, "ValidationException", 400, FunctionName=fresh, Qualifier="7")
    assert "is a version" in refused(f.get_function_url_config, "InvalidParameterValueException", 400, FunctionName=f"{fresh}:1")
    assert "at 'cors.maxAge' failed" in refused(f.update_function_url_config, "ValidationException", 400, FunctionName=fresh, Cors={"MaxAge": 86401})
    assert "Cors holds an entry" in refused(f.update_function_url_config, "InvalidParameterValueException", 400, FunctionName=fresh, Cors={"AllowOrigins": ["a,b"]})
    reader = client(api, create_token(api, "read"))
    assert reader.get_function_url_config(FunctionName=fresh)["AuthType"] == "NONE"
    refused(reader.delete_function_url_config, "AccessDeniedException", 403, FunctionName=fresh)


# -- policies --

def test_statements_are_printed_as_aws_prints_them(api, fresh):
    f = api.aws
    added = f.add_permission(FunctionName=fresh, StatementId="s1", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::bucket", SourceAccount="123456789012")
    assert json.loads(added["Statement"]) == {
        "Sid": "s1", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction", "Resource": arn(fresh),
        "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}}
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    first = f.get_policy(FunctionName=fresh)
    policy = json.loads(first["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "default") and policy["Statement"] == [json.loads(added["Statement"])]
    f.add_permission(FunctionName=fresh, StatementId="s2", Action="lambda:InvokeFunction", Principal="123456789012", RevisionId=first["RevisionId"])
    f.add_permission(FunctionName=fresh, StatementId="s3", Action="lambda:*", Principal="arn:aws:iam::123456789012:role/r")
    statements = json.loads(f.get_policy(FunctionName=fresh)["Policy"])["Statement"]
    assert [s["Sid"] for s in statements] == ["s1", "s2", "s3"]
    assert [s["Principal"] for s in statements[1:]] == [{"AWS": "arn:aws:iam::123456789012:root"}, {"AWS": "arn:aws:iam::123456789012:role/r"}]
    message = "The Revision Id provided does not match the latest Revision Id."
    assert refused(f.add_permission, "PreconditionFailedException", 412, FunctionName=fresh, StatementId="s4", Action="*", Principal="*", RevisionId=first["RevisionId"]).startswith(message)
    assert refused(f.remove_permission, "PreconditionFailedException", 412, FunctionName=fresh, StatementId="s3", RevisionId=first["RevisionId"]).startswith(message)
    for sid in ("s1", "s2", "s3"):
        assert f.remove_permission(FunctionName=fresh, StatementId=sid)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(f.get_policy, "ResourceNotFoundException", 404, FunctionName=fresh) == "No policy is associated with the given resource."


def test_each_error_of_policies(api, fresh):
    f = api.aws
    one = {"FunctionName": fresh, "StatementId": "s1", "Action": "lambda:InvokeFunction", "Principal": "*"}
    assert refused(f.remove_permission, "ResourceNotFoundException", 404, FunctionName=fresh, StatementId="s1") == "No policy is associated with the given resource."
    f.add_permission(**one)
    assert refused(again(api).add_permission, "ResourceConflictException", 409, **one) == \
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement."
    assert refused(f.remove_permission, "ResourceNotFoundException", 404, FunctionName=fresh, StatementId="s9") == "Statement s9 is not found in resource policy."
    assert "at 'statementId' failed" in refused(f.add_permission, "ValidationException", 400, **{**one, "StatementId": "s 1"})
    assert "at 'action' failed" in refused(f.add_permission, "ValidationException", 400, **{**one, "Action": "invoke"})
    assert refused(f.add_permission, "ResourceNotFoundException", 404, **{**one, "FunctionName": "nobody"}) == f"Function not found: {arn('nobody')}"
    with pytest.raises(ClientError) as caught:
        for i in range(100):
            f.add_permission(**{**one, "StatementId": f"long{i}", "SourceArn": "arn:aws:s3:::" + "x" * 900})
    assert caught.value.response["Error"]["Code"] == "PolicyLengthExceededException" and "bigger than the limit (20480)" in caught.value.response["Error"]["Message"]


def test_changes_at_the_same_time_lose_nothing(api, fresh):
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: admin(api).add_permission(FunctionName=fresh, StatementId=f"p{i}", Action="lambda:InvokeFunction", Principal="*"), range(16)))
    assert {s["Sid"] for s in json.loads(api.aws.get_policy(FunctionName=fresh)["Policy"])["Statement"]} == {f"p{i}" for i in range(16)}


# -- what stays --

def test_urls_and_policies_survive_and_go_with_their_function():
    with Faasd(args=("--listen", "127.0.0.1:0", "--url-domain", DOMAIN)) as daemon:
        deploy_python(daemon, "stays", ECHO)
        deploy_python(daemon, "goes", ECHO)
        daemon.aws = admin(daemon)
        ids = {name: make_url(daemon, name, Cors=CORS) for name in ("stays", "goes")}
        daemon.cli("rm", "goes")
        deploy_python(daemon, "goes", ECHO)
        assert daemon.request("GET", f"/url/{ids['goes']}").json() == {"Message": None}
        assert refused(daemon.aws.get_policy, "ResourceNotFoundException", 404, FunctionName="goes") == "No policy is associated with the given resource."
        before = daemon.aws.get_function_url_config(FunctionName="stays")
        port = daemon.port
        assert daemon.stop() == 0
        daemon.args = ["--listen", f"127.0.0.1:{port}", "--url-domain", DOMAIN]
        daemon.start()
        daemon.aws = admin(daemon)
        after = daemon.aws.get_function_url_config(FunctionName="stays")
        assert {k: v for k, v in after.items() if k != "ResponseMetadata"} == {k: v for k, v in before.items() if k != "ResponseMetadata"}
        assert daemon.request("GET", f"/url/{ids['stays']}").status == 200
        assert daemon.request("GET", f"/url/{ids['goes']}").json() == {"Message": None}
        assert preflight(daemon, ids["stays"], "https://a.example").headers["Access-Control-Max-Age"] == "60"


def test_without_a_domain_urls_are_paths(faasd):
    deploy_python(faasd, "plain", ECHO)
    made = admin(faasd).create_function_url_config(FunctionName="plain", AuthType="AWS_IAM")
    assert re.fullmatch(rf"http://127\.0\.0\.1:{faasd.port}/url/[a-z0-9]{{32}}/", made["FunctionUrl"])


@pytest.mark.parametrize("domain, words", [*((d, "is no domain") for d in ("a..b", "-a", "a.", "a b", "http://a", "a:80")), ("x" * 201, "is too long")])
def test_what_is_no_domain_is_refused(tmp_path, domain, words):
    daemon = Faasd(args=("--url-domain", domain), root=tmp_path)
    daemon.start(expect_ready=False)
    assert daemon.process.wait(30) == 2
    daemon.reader.join()
    assert words in daemon.log_text()


def test_the_aws_cli_makes_a_url(api, fresh):
    made = aws(api, api.token, "lambda", "create-function-url-config", "--function-name", fresh, "--auth-type", "NONE", "--cors", "AllowOrigins=*")
    aws(api, api.token, "lambda", "add-permission", "--function-name", fresh, "--statement-id", "all", "--action", "lambda:InvokeFunctionUrl", "--principal", "*",
        "--function-url-auth-type", "NONE")
    assert api.request("GET", f"/url/{id_of(made)}").status == 200
    assert json.loads(aws(api, api.token, "lambda", "get-policy", "--function-name", fresh)["Policy"])["Statement"][0]["Sid"] == "all"


# What the socket may not take at once, up to the limit and beyond it; whether there is room.
SIZES = ((15_000, True), (17_000, True), (1_000_000, True), (1_048_576, False), (3_000_000, False), (3, True))


@pytest.fixture
def little():
    """A daemon that keeps 1 MiB of bodies, and a function that replies with as many zeros as it is asked for."""
    with Faasd({"body_memory": "1M"}, args=("--listen", "127.0.0.1:0", "--url-domain", DOMAIN)) as daemon:
        deploy_python(daemon, "zeros", "def handler(event, context):\n    return '0' * int(event['body'] if type(event) is dict else event)\n")
        daemon.aws = client(daemon, create_token(daemon, "admin"))
        yield daemon
        told = json.loads(daemon.cli("invocation", "ls", "--function", "zeros", "--json").stdout)["invocations"]
        assert [call.get("type") for call in told] == [None if has_room else "BadReply" for _, has_room in reversed(SIZES)]


@pytest.mark.row("H13")
@pytest.mark.parametrize("face", ["own", "url"])
def test_a_reply_for_which_there_is_no_room_is_refused_whole_instead_of_cut(little, face):
    path = "/function/zeros" if face == "own" else f"/url/{make_url(little, 'zeros', Cors={'AllowOrigins': ['*']})}"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", little.port)) as connection:
        connection.connect()
        first = connection.sock
        for size, has_room in SIZES:
            connection.request("POST", path, str(size), {"Content-Type": "application/json", "Origin": "https://a.example"})
            response = connection.getresponse()
            body = response.read()
            assert connection.sock is first, "the connection stays"
            if has_room:
                assert (response.status, body.strip(b'"')) == (200, b"0" * size)
            elif face == "own":
                message = json.loads(body)["errorMessage"]
                assert (response.status, response.headers["X-Faasd-Error"]) == (502, "BadReply")
                assert f"reply of {size + 2} bytes" in message and "'body_memory' (1M)" in message
            else:
                assert (response.status, body) == (502, b"Internal Server Error")


@pytest.mark.row("H13")
@pytest.mark.parametrize("log", ["None", "Tail"])
def test_so_is_the_reply_of_an_invoke(little, log):
    for size, has_room in SIZES:
        reply = little.aws.invoke(FunctionName="zeros", Payload=str(size), LogType=log)
        body = json.loads(reply["Payload"].read())
        if has_room:
            assert "FunctionError" not in reply and body == "0" * size
        else:
            assert reply["FunctionError"] == "Unhandled" and "'body_memory' (1M)" in body["errorMessage"], body
