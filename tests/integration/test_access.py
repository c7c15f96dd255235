# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every level of access by every kind of credential through every kind of listener, and what stands around it."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading

import pytest

from access import address_of, ask, ask_signed, bearer, create_token, sign
from harness import FAASD, HELLO, Faasd, receive_all, wait_until

LISTEN = ("--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0")
LEVELS = ("default", "anonymous", "token", "admin")
KINDS = ("loopback", "remote", "invoke", "control")
WRONG = "faasd_" + "0" * 64


def deploy_levels(daemon):
    for level in LEVELS:
        daemon.deploy(level, HELLO, "--runtime", "native", *(() if level == "default" else ("--auth", level)))
    daemon.deploy("other", HELLO, "--runtime", "native", "--auth", "token")
    daemon.tokens = {
        "other": create_token(daemon, "invoke:other"),
        "own": create_token(daemon, *(f"invoke:{level}" for level in LEVELS)),
        "invoke": create_token(daemon, "invoke"),
        "read": create_token(daemon, "read"),
        "deploy": create_token(daemon, "deploy"),
        "admin": create_token(daemon, "admin"),
    }


@pytest.fixture
def root():
    """A daemon's root that outlives it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def guarded():
    """As it is by default."""
    with Faasd({"failed_credentials": 100000}, args=LISTEN) as daemon:
        deploy_levels(daemon)
        yield daemon


@pytest.fixture(scope="module")
def open_wide():
    """Takes tokens over plain connections from elsewhere too."""
    with Faasd({"failed_credentials": 100000}, args=(*LISTEN, "--insecure-control")) as daemon:
        deploy_levels(daemon)
        yield daemon


def expected_of_function(level, kind, who):
    """The status that calling a function of that level through that listener has."""
    if kind == "control" or level == "anonymous" or (level == "default" and kind != "remote"):
        return 200
    if who in ("none", "wrong", "wrong scheme"):
        return 401
    if level == "admin":
        return 200 if who == "admin" else 403
    return 200 if who in ("own", "invoke", "admin") else 403


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_takes_the_bearers_it_is_for(open_wide, level, kind):
    seen, expected = {}, {}
    for who in ("none", "wrong", "wrong scheme", *open_wide.tokens):
        headers = {"none": {}, "wrong": bearer(WRONG), "wrong scheme": {"Authorization": "Basic YTpi"}}.get(who)
        headers = bearer(open_wide.tokens[who]) if headers is None else headers
        reply = ask(open_wide, kind, "POST", f"/function/{level}", b"{}", headers)
        seen[who], expected[who] = reply.status, expected_of_function(level, kind, who)
        if reply.status == 401:
            assert "Bearer" in reply.headers["WWW-Authenticate"] and reply.error == "Unauthorized"
    assert seen == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_takes_the_signatures_it_is_for(guarded, level, kind):
    seen, expected = {}, {}
    for who in ("none", "wrong", *guarded.tokens):
        if who == "none":
            reply = ask(guarded, kind, "POST", f"/function/{level}", b"{}")
        else:
            token = guarded.tokens["admin" if who == "wrong" else who]
            reply = ask_signed(guarded, kind, token, "POST", f"/function/{level}", b"{}", secret="0" * 40 if who == "wrong" else None)
        seen[who], expected[who] = reply.status, expected_of_function(level, kind, who)
    assert seen == expected


CONTROL = {
    "read": (("GET", "/v1/system"), ("GET", "/v1/config"), ("GET", "/v1/secrets"), ("GET", "/v1/functions"), ("GET", "/v1/functions/default"), ("GET", "/v1/functions/default/logs")),
    "deploy": (("PATCH", "/v1/functions/default"), ("PUT", "/v1/functions/default"), ("DELETE", "/v1/functions/none-such"),
               ("GET", "/v1/functions/default?show_env=1"), ("PUT", "/v1/secrets/db"), ("DELETE", "/v1/secrets/db")),
    "admin": (("GET", "/v1/tokens"), ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens/none-such"), ("POST", "/v1/functions/default/shell")),
}
HOLDS = {"read": ("read",), "deploy": ("read", "deploy"), "admin": ("read", "deploy", "admin")}


def expected_of_control(level, kind, who):
    """None: it was let in; what came of it is not this test's."""
    if kind == "control":
        return None
    if kind == "invoke":
        return 403
    if who in ("none", "wrong"):
        return 401
    return None if level in HOLDS.get(who, ()) else 403


@pytest.mark.row("C3")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", CONTROL)
def test_the_control_api_asks_for_a_scope(open_wide, level, kind):
    for method, target in CONTROL[level]:
        seen, expected = {}, {}
        for who in ("none", "wrong", *open_wide.tokens):
            headers = {"none": {}, "wrong": bearer(WRONG)}.get(who)
            headers = bearer(open_wide.tokens[who]) if headers is None else headers
            reply = ask(open_wide, kind, method, target, b"", headers)
            seen[who] = reply.status if reply.status in (401, 403) else None
            expected[who] = expected_of_control(level, kind, who)
        assert seen == expected, (method, target)


def test_without_a_credential_nobody_learns_what_there_is(guarded):
    for target in ("/v1/functions", "/v1/functions/default", "/v1/functions/none-such", "/v1/none-such", "/v1/"):
        assert ask(guarded, "loopback", "GET", target).status == 401
    assert ask(guarded, "loopback", "GET", "/v1/none-such", headers=bearer(guarded.tokens["read"])).status == 404
    assert ask(guarded, "loopback", "POST", "/v1/functions", headers=bearer(guarded.tokens["read"])).status == 405
    assert ask(guarded, "loopback", "GET", "/healthz").status == 200


def test_the_same_holds_before_there_are_tokens():
    with Faasd(args=LISTEN) as daemon:
        for level in LEVELS:
            daemon.deploy(level, HELLO, "--runtime", "native", *(() if level == "default" else ("--auth", level)))
            for kind in KINDS:
                assert ask(daemon, kind, "POST", f"/function/{level}", b"{}").status == expected_of_function(level, kind, "none")
        assert ask(daemon, "loopback", "GET", "/v1/functions").status == 401


def test_default_auth_is_a_key():
    with Faasd({"default_auth": "admin"}, args=LISTEN) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        token = create_token(daemon, "admin")
        for kind in ("loopback", "remote", "invoke"):
            assert ask(daemon, kind, "POST", "/function/hello", b"{}").status == 401
        assert ask(daemon, "loopback", "POST", "/function/hello", b"{}", bearer(token)).status == 200
        assert ask(daemon, "control", "POST", "/function/hello", b"{}").status == 200


# -- tokens over connections that can be overheard --

def test_a_token_over_a_plain_connection_from_elsewhere_is_not_taken(guarded):
    admin = guarded.tokens["admin"]
    for method, target in (("GET", "/v1/functions"), ("POST", "/function/token")):
        reply = ask(guarded, "remote", method, target, b"", bearer(admin))
        assert reply.status == 403
        assert "--insecure-control" in reply.json()["errorMessage"] and "trusted_proxies" in reply.json()["errorMessage"]
    # also when it is wrong: whether it is, is not told to whoever listens
    assert ask(guarded, "remote", "GET", "/v1/functions", headers=bearer(WRONG)).status == 403
    assert ask(guarded, "loopback", "GET", "/v1/functions", headers=bearer(admin)).status == 200
    assert ask_signed(guarded, "remote", admin, "GET", "/v1/functions").status == 200


def test_the_configuration_may_take_them_and_a_reload_too():
    with Faasd(args=LISTEN) as daemon:
        token = create_token(daemon, "read")
        assert ask(daemon, "remote", "GET", "/v1/functions", headers=bearer(token)).status == 403
        daemon.write_config({"insecure_control": True})
        daemon.process.send_signal(1)
        wait_until(lambda: any("the new configuration is in use" in line for line in daemon.log), "a reload")
        assert ask(daemon, "remote", "GET", "/v1/functions", headers=bearer(token)).status == 200


# -- browsers --

@pytest.mark.row("C5", "C6")
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                                     {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}])
def test_a_web_page_is_refused_even_with_a_right_token(guarded, headers):
    headers = {**headers, **bearer(guarded.tokens["admin"])}
    for method in ("GET", "POST", "OPTIONS"):
        reply = ask(guarded, "loopback", method, "/v1/tokens", b"", {**headers, "Access-Control-Request-Method": "POST"})
        assert reply.status == 403 and "web pages" in reply.json()["errorMessage"]
        assert not [h for h in reply.headers if h.lower().startswith("access-control")]


@pytest.mark.row("C4")
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example.", "127.0.0.1.evil.example:8080"])
def test_a_foreign_host_is_misdirected_even_with_a_right_token(guarded, host):
    reply = ask(guarded, "loopback", "GET", "/v1/functions", headers={"Host": host, **bearer(guarded.tokens["admin"])})
    assert reply.status == 421


def test_hosts_adds_a_name():
    with Faasd({"hosts": ["faas.example.org"]}) as daemon:
        token = create_token(daemon, "read")
        for host, status in (("faas.example.org", 200), ("FAAS.example.org:8443", 200), ("x.faas.example.org", 421)):
            assert ask(daemon, "loopback", "GET", "/v1/functions", headers={"Host": host, **bearer(token)}).status == status


# -- tokens themselves --

@pytest.mark.row("C9")
def test_a_token_is_shown_once_and_stored_hashed(root):
    with Faasd(root=root) as daemon:
        token = create_token(daemon, "deploy", "invoke:hello", extra=("--name", "for ci", "--expires", "30d"))
        assert re.fullmatch(r"faasd_[0-9a-f]{64}", token["token"])
        assert re.fullmatch(r"[0-9a-f]{16}", token["id"])
        assert token["accessKeyId"] == "FAAS" + token["id"].upper()
        assert re.fullmatch(r"[0-9a-f]{40}", token["secretAccessKey"])
        assert token["scopes"] == ["deploy", "invoke:hello"] and token["name"] == "for ci" and token["expires"]
        listed = json.loads(daemon.cli("token", "ls", "--json").stdout)["tokens"]
        assert [t["id"] for t in listed] == [token["id"]]
        assert "token" not in listed[0] and "secretAccessKey" not in listed[0]
        assert "for ci" in daemon.cli("token", "ls").out
    secrets = [token["token"][6:], token["secretAccessKey"]]
    files = [p for p in root.rglob("*") if p.is_file()]
    assert any(token["id"].encode() in p.read_bytes() for p in files)
    for path in files:
        data = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in data and bytes.fromhex(secret) not in data, path
    assert token["token"] not in daemon.log_text() and token["secretAccessKey"] not in daemon.log_text()
    assert f"by=uid:{os.geteuid()}" in daemon.log_text()


def test_tokens_outlive_a_restart_and_their_removal(root):
    with Faasd(root=root) as daemon:
        kept, gone = create_token(daemon, "read"), create_token(daemon, "read")
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(gone)).status == 200
        daemon.cli("token", "rm", gone["id"])
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(gone)).status == 401
        assert ask_signed(daemon, "loopback", gone, "GET", "/v1/functions").status == 401
        assert daemon.cli("token", "rm", gone["id"], check=False).returncode == 3
    key = root / "state" / "keys" / "signing-key"
    assert key.stat().st_mode & 0o777 == 0o600 and key.stat().st_size == 32
    with Faasd(root=root) as daemon:
        for credential in ("bearer", "signature"):
            for token, status in ((kept, 200), (gone, 401)):
                if credential == "bearer":
                    reply = ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(token))
                else:
                    reply = ask_signed(daemon, "loopback", token, "GET", "/v1/functions")
                assert reply.status == status, (credential, token["id"])
    key.write_bytes(os.urandom(32))
    with Faasd(root=root) as daemon:
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(kept)).status == 200
        reply = ask_signed(daemon, "loopback", kept, "GET", "/v1/functions")
        assert reply.status == 401 and "signs nothing any more" in reply.json()["errorMessage"]
        assert "does not open with this host's signing-key" in daemon.log_text() and kept["id"] in daemon.log_text()


def test_a_token_ends_when_it_expires():
    with Faasd() as daemon:
        token = create_token(daemon, "read", extra=("--expires", "1s"))
        wait_until(lambda: ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(token)).status == 401, "the token's end")
        reply = ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(token))
        assert "has expired" in reply.json()["errorMessage"]
        reply = ask_signed(daemon, "loopback", token, "GET", "/v1/functions")
        assert reply.status == 401 and "has expired" in reply.json()["errorMessage"]
        assert "expired" in daemon.cli("token", "ls").out


@pytest.mark.parametrize("body, message", [
    (b"", "line 1"),
    (b"[]", "an object such as"),
    (b"{}", "scopes: say what"),
    (b'{"scopes": []}', "scopes: say what"),
    (b'{"scopes": "admin"}', "scopes: say what"),
    (b'{"scopes": ["root"]}', "'root' is no scope"),
    (b'{"scopes": ["invoke:../x"]}', "is no scope"),
    (b'{"scopes": ["invoke:"]}', "is no scope"),
    (b'{"scopes": ["read admin"]}', "without blanks"),
    (b'{"scopes": [""]}', "is no scope"),
    (b'{"scopes": [1]}', "array of strings"),
    (b'{"scopes": ["read"], "name": 1}', "name: a text"),
    (b'{"scopes": ["read"], "name": "' + b"n" * 65 + b'"}', "name: a text"),
    (b'{"scopes": ["read"], "expires_in_ms": 0}', "expires_in_ms"),
    (b'{"scopes": ["read"], "expires_in_ms": -1}', "expires_in_ms"),
    (b'{"scopes": ["read"], "expire": 1}', "unknown key 'expire'"),
    (json.dumps({"scopes": [f"invoke:f{i}" for i in range(33)]}).encode(), "at most 32"),
    (b'{"scopes": ["read"], "scopes": ["admin"]}', "scopes"),
])
def test_wishes_that_make_no_token(guarded, body, message):
    before = len(guarded.control("GET", "/v1/tokens").json()["tokens"])
    reply = guarded.control("POST", "/v1/tokens", body)
    assert reply.status == 400 and message in reply.json()["errorMessage"], reply
    assert len(guarded.control("GET", "/v1/tokens").json()["tokens"]) == before


def test_tokens_have_a_limit():
    with Faasd({"tokens": 2}) as daemon:
        first = create_token(daemon, "read")
        create_token(daemon, "read")
        refused = daemon.cli("token", "create", "--scope", "read", check=False)
        assert refused.returncode == 1 and "'tokens'" in refused.err and "token rm" in refused.err
        daemon.cli("token", "rm", first["id"])
        create_token(daemon, "read")


@pytest.mark.row("C3")
@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer faasd_", "Bearer " + WRONG[:-1], "Bearer " + WRONG + "0",
                                   "Bearer " + "x" * 60000, "Token " + WRONG, "Bearer faasd_" + "g" * 64, "AWS4-HMAC-SHA256 ",
                                   "AWS4-HMAC-SHA256 Credential=x", "bearer\t" + WRONG])
def test_credentials_that_are_none(guarded, value):
    reply = ask(guarded, "loopback", "GET", "/v1/functions", headers={"Authorization": value})
    assert reply.status == 401, reply


@pytest.mark.row("C3")
def test_a_prefix_or_another_case_of_a_token_is_no_token(guarded):
    right = guarded.tokens["read"]["token"]
    for text in (right[:-1], right.upper(), right + "0", right.replace("faasd_", "FAASD_"), " " + right[1:]):
        assert ask(guarded, "loopback", "GET", "/v1/functions", headers={"Authorization": f"Bearer {text}"}).status == 401
    for scheme in ("bearer", "BEARER"):
        assert ask(guarded, "loopback", "GET", "/v1/functions", headers={"Authorization": f"{scheme} {right}"}).status == 200


def test_two_credentials_in_one_request_are_none(guarded):
    right = guarded.tokens["read"]["token"].encode()
    with guarded.connect() as sock:
        sock.sendall(b"GET /v1/functions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + right + b"\r\nAuthorization: Bearer "
                     + right + b"\r\nConnection: close\r\n\r\n")
        assert receive_all(sock).startswith(b"HTTP/1.1 401 ")


# -- what functions see --

@pytest.mark.row("C9")
def test_no_function_sees_a_credential_of_faasds(guarded):
    guarded.deploy_script("seen", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv\n", "--contract", "cgi", "--auth", "token")
    guarded.deploy_script("free", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv\n", "--contract", "cgi", "--auth", "anonymous")
    token = guarded.tokens["invoke"]
    for name in ("seen", "free"):
        for reply in (ask(guarded, "loopback", "GET", f"/function/{name}", headers={"X-Mine": "1", **bearer(token)}),
                      ask_signed(guarded, "loopback", token, "GET", f"/function/{name}", headers={"X-Mine": "1"}),
                      ask(guarded, "control", "GET", f"/function/{name}", headers={"X-Mine": "1", **bearer(token)})):
            assert reply.status == 200 and b"HTTP_X_MINE=1" in reply.body
            assert token["token"].encode() not in reply.body and b"HTTP_AUTHORIZATION" not in reply.body
    own = ask(guarded, "loopback", "GET", "/function/free", headers={"Authorization": "Bearer of-its-own"})
    assert own.status == 200


def test_a_functions_own_authorization_reaches_it(guarded):
    code = "def handler(event, context):\n    return context.http['headers'].get('authorization')\n"
    directory = guarded.root / "own-auth"
    directory.mkdir()
    (directory / "app.py").write_text(code)
    guarded.deploy("own-auth", directory, "--runtime", "python", "--handler", "app.handler", "--auth", "anonymous")
    for value in ("Basic YTpi", "Bearer of-its-own", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/r/s/aws4_request"):
        assert ask(guarded, "loopback", "POST", "/function/own-auth", b"{}", {"Authorization": value}).json() == value
    assert ask(guarded, "loopback", "POST", "/function/own-auth", b"{}", bearer(guarded.tokens["read"])).json() is None


# -- rate --

@pytest.mark.row("C3")
def test_wrong_credentials_are_limited_and_right_ones_are_not():
    with Faasd({"failed_credentials": 5}) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native", "--auth", "token")
        token = create_token(daemon, "read", "invoke:hello")
        seen = [ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(WRONG)) for _ in range(8)]
        assert [r.status for r in seen[:5]] == [401] * 5
        limited = seen[-1]
        assert limited.status == 429 and int(limited.headers["Retry-After"]) > 0 and "'failed_credentials'" in limited.json()["errorMessage"]
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/functions", secret="0" * 40).status == 429
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(token)).status == 200
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/functions").status == 200
        # what can only be judged after its body is not even begun
        assert ask_signed(daemon, "loopback", token, "POST", "/function/hello", b"{}").status == 429
        # who shows nothing guesses nothing; other listeners are other addresses
        assert ask(daemon, "loopback", "GET", "/v1/functions").status == 401
        assert ask(daemon, "invoke", "POST", "/function/hello", b"{}", bearer(WRONG)).status == 401
        told = [line for line in daemon.log if "failed_credentials" in line]
        assert len(told) == 1 and "addr=127.0.0.1" in told[0]


# -- the command line --

def client(daemon, *args, token=None, token_file=None, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FAASD_")}
    if token is not None:
        env["FAASD_TOKEN"] = token
    if token_file is not None:
        env["FAASD_TOKEN_FILE"] = str(token_file)
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(FAASD), *map(str, args), "--url", "http://" + address_of(daemon, "loopback")], env=env,
                          capture_output=True, text=True, timeout=120, **options)
    return done


def test_every_command_works_over_tcp_with_a_token(guarded, tmp_path):
    admin = guarded.tokens["admin"]["token"]

    def run(*args, **options):
        done = client(guarded, *args, token=admin, **options)
        assert done.returncode == 0, f"{args}: {done.returncode} {done.stdout} {done.stderr}"
        return done

    run("deploy", "remote", HELLO, "--runtime", "native", "--auth", "admin")
    assert "remote" in run("ls").stdout
    assert json.loads(run("describe", "remote", "--json").stdout)["name"] == "remote"
    run("config", "remote", "--memory", "32M")
    assert run("invoke", "remote", "-d", "{}").stdout
    run("logs", "remote")
    run("stats")
    made = json.loads(run("token", "create", "--scope", "read", "--json").stdout)
    assert made["id"] in run("token", "ls").stdout
    run("token", "rm", made["id"])
    run("alias", "set", "remote", "prod", "1", "--also", "2=0.25")
    run("alias", "set", "remote", "edge", "$LATEST")
    run("alias", "rm", "remote", "prod")
    run("secret", "set", "of-remote", input="value")
    run("secret", "rm", "of-remote")
    run("rm", "remote")
    by = f"by=token:{guarded.tokens['admin']['id']} req="
    for line in ("deployed fn=remote version=2 ", "a token was made token=", "a token was removed token=", "an alias was set fn=remote alias=prod version=1 also=2:0.25 ",
                 "an alias was set fn=remote alias=edge version=$LATEST ", "an alias was removed fn=remote alias=prod ", "a secret was set name=of-remote ",
                 "a secret was removed name=of-remote ", "removed fn=remote "):
        assert [said for said in guarded.log if line in said and by in said], line


def test_logs_can_be_followed_over_tcp(guarded):
    guarded.deploy_script("talks", "#!/bin/sh\necho heard >&2\n")
    env = {**os.environ, "FAASD_TOKEN": guarded.tokens["read"]["token"]}
    with subprocess.Popen([str(FAASD), "logs", "-f", "talks", "--url", "http://" + address_of(guarded, "loopback")], env=env,
                          stdout=subprocess.PIPE, text=True) as follower:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")), daemon=True)
        reader.start()
        try:
            wait_until(lambda: guarded.invoke("talks") and any("heard" in line for line in lines), "a followed line")
        finally:
            follower.terminate()
            follower.wait(10)


def test_what_a_denied_client_is_told(guarded, tmp_path):
    done = client(guarded, "ls")
    assert done.returncode == 4 and "set FAASD_TOKEN" in done.stderr and "token create" in done.stderr
    done = client(guarded, "ls", token=WRONG)
    assert done.returncode == 4 and "is not taken" in done.stderr and "token ls" in done.stderr
    done = client(guarded, "rm", "default", token=guarded.tokens["read"]["token"])
    assert done.returncode == 4 and "scope deploy" in done.stderr and "has: read" in done.stderr
    done = client(guarded, "invoke", "token", "-d", "{}")
    assert done.returncode == 4 and "invoke:token" in done.stderr
    file = tmp_path / "token"
    file.write_text(guarded.tokens["read"]["token"] + "\n")
    assert client(guarded, "ls", token_file=file).returncode == 0
    file.write_text("two words\n")
    done = client(guarded, "ls", token_file=file)
    assert done.returncode == 1 and "holds no token" in done.stderr
    done = client(guarded, "ls", token_file=tmp_path / "none")
    assert done.returncode == 1 and "FAASD_TOKEN_FILE" in done.stderr


def test_a_token_goes_to_whom_a_url_names_and_to_nobody_else(tmp_path):
    heard = []
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native", "--auth", "token")
        token = create_token(daemon, "invoke")
        env = {k: v for k, v in os.environ.items() if not k.startswith("FAASD_")} | {"FAASD_TOKEN": token["token"]}
        done = subprocess.run([str(FAASD), "invoke", "hello", "-d", "{}", "--url", f"unix://{daemon.invoke_path}"], env=env, capture_output=True)
        assert done.returncode == 0, done.stderr
        # a socket that was found, not named: the mode of its file has asked already
        import socket
        root = tmp_path / "root"
        (root / "run").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(root / "run" / "control.sock"))
            listener.listen()
            def serve():
                peer, _ = listener.accept()
                with peer:
                    heard.append(peer.recv(65536))
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"functions\":[]}\n")
            thread = threading.Thread(target=serve)
            thread.start()
            done = subprocess.run([str(FAASD), "ls", "--root", str(root)], env=env, capture_output=True)
            thread.join(10)
        assert done.returncode == 0 and heard and b"Authorization" not in heard[0]


def test_token_create_says_what_it_needs(guarded):
    for args, words in (((), "create, ls or rm"), (("destroy",), "not 'destroy'"), (("create",), "--scope"),
                        (("create", "--scope", "read", "--expires", "0s"), "over at once"),
                        (("create", "--scope", "read", "--expires", "30"), "30"),
                        (("create", "--scope", "read", "--json", "--export"), "not both"), (("rm",), "the ID of a token")):
        done = subprocess.run([str(FAASD), "token", *args], capture_output=True, text=True)
        assert done.returncode == 2 and words in done.stderr, (args, done.stderr)
    assert subprocess.run([str(FAASD), "token", "--help"], capture_output=True).returncode == 0
    refused = guarded.cli("token", "create", "--scope", "root", check=False)
    assert refused.returncode == 1 and "'root' is no scope" in refused.err


def test_export_is_for_the_shell(guarded):
    lines = guarded.cli("token", "create", "--scope", "invoke", "--export").out
    script = lines + '\nprintf "%s %s %s %s" "$FAASD_TOKEN" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"'
    done = subprocess.run(["sh", "-eu", "-c", script.replace('"$AWS_SESSION_TOKEN"', '"${AWS_SESSION_TOKEN-unset}"')],
                          env={**os.environ, "AWS_SESSION_TOKEN": "old"}, capture_output=True, text=True)
    assert done.returncode == 0
    token, key, secret, session = done.stdout.split()
    assert session == "unset" and re.fullmatch(r"faasd_[0-9a-f]{64}", token)
    made = {"token": token, "accessKeyId": key, "secretAccessKey": secret}
    assert ask(guarded, "loopback", "POST", "/function/token", b"{}", bearer(made)).status == 200
    assert ask_signed(guarded, "loopback", made, "POST", "/function/token", b"{}").status == 200


# -- the database --

def test_a_damaged_row_costs_its_own_token(root):
    with Faasd(root=root) as daemon:
        good, bad = create_token(daemon, "read"), create_token(daemon, "read")
    with sqlite3.connect(root / "state" / "db" / "faasd.db") as db:
        db.execute("UPDATE tokens SET scopes = 'everything' WHERE id = ?", (bad["id"],))
    with Faasd(root=root) as daemon:
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(good)).status == 200
        assert ask(daemon, "loopback", "GET", "/v1/functions", headers=bearer(bad)).status == 401
        assert "'everything' is no scope" in daemon.log_text()


def test_a_key_of_the_wrong_size_stops_the_start(root):
    with Faasd(root=root):
        pass
    (root / "state" / "keys" / "signing-key").write_bytes(b"short")
    daemon = Faasd(root=root)
    daemon.start(expect_ready=False)
    assert daemon.process.wait(30) == 1
    daemon.reader.join(10)
    assert "32 random bytes" in daemon.log_text()


def test_systemds_credential_is_the_key(root, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "faasd-signing-key").write_bytes(os.urandom(32))
    env = {"CREDENTIALS_DIRECTORY": str(credentials)}
    with Faasd(root=root, env=env) as daemon:
        token = create_token(daemon, "read")
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/functions").status == 200
    assert not (root / "state" / "keys" / "signing-key").exists()
    with Faasd(root=root, env=env) as daemon:
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/functions").status == 200
    with Faasd(root=root) as daemon:
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/functions").status == 401
