# SPDX-License-Identifier: Apache-2.0
"""Functions and web pages: the setting `cors`, its preflights and the lines on replies."""

import pytest

from access import ask, bearer, create_token
from harness import HELLO, Faasd

PAGE = {"Origin": "https://app.example.org"}
PREFLIGHT = {**PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, x-mine"}


@pytest.fixture(scope="module")
def pages():
    with Faasd() as daemon:
        daemon.listen = [f"{daemon.host}:{daemon.port}"]
        daemon.deploy("none", HELLO, "--runtime", "native")
        daemon.deploy("one", HELLO, "--runtime", "native", "--cors", "https://app.example.org,http://localhost:3000")
        daemon.deploy("any", HELLO, "--runtime", "native", "--cors", "*")
        daemon.deploy("guarded", HELLO, "--runtime", "native", "--auth", "token", "--cors", "https://app.example.org")
        daemon.deploy_script("own", "#!/bin/sh\nprintf 'Content-Type: text/plain\\naccess-control-allow-origin: https://own.example\\n\\n%s' $REQUEST_METHOD\n",
                             "--contract", "cgi", "--cors", "*")
        daemon.deploy_script("options", "#!/bin/sh\nprintf 'Content-Type: text/plain\\nAccess-Control-Allow-Origin: *\\n\\n%s' $REQUEST_METHOD\n",
                             "--contract", "cgi")
        daemon.deploy_script("fails", "#!/bin/sh\nexit 1\n", "--cors", "*")
        yield daemon


def allowed(reply):
    """Values of the field that says which page may read the reply."""
    return reply.headers.get_all("Access-Control-Allow-Origin") or []


def test_a_preflight_is_answered_without_the_function(pages):
    before = pages.system()["invocations_in_flight"], pages.describe("one")["counters"]["succeeded"]
    reply = ask(pages, "loopback", "OPTIONS", "/function/one/any/path", headers=PREFLIGHT)
    assert reply.status == 204 and reply.body == b""
    assert allowed(reply) == ["https://app.example.org"] and reply.headers["Vary"] == "Origin"
    assert "PUT" in reply.headers["Access-Control-Allow-Methods"]
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization, x-mine"
    assert int(reply.headers["Access-Control-Max-Age"]) > 0
    assert (pages.system()["invocations_in_flight"], pages.describe("one")["counters"]["succeeded"]) == before


def test_a_preflight_needs_no_credential_and_the_request_does(pages):
    token = create_token(pages, "invoke:guarded")
    assert ask(pages, "loopback", "OPTIONS", "/function/guarded", headers=PREFLIGHT).status == 204
    refused = ask(pages, "loopback", "POST", "/function/guarded", b"{}", PAGE)
    assert refused.status == 401 and allowed(refused) == ["https://app.example.org"]
    reply = ask(pages, "loopback", "POST", "/function/guarded", b"{}", {**PAGE, **bearer(token)})
    assert reply.status == 200 and allowed(reply) == ["https://app.example.org"]
    assert "X-Faasd-Error" in reply.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.org", "https://app.example.org:444", "https://app.example.org.evil.example", "null"])
def test_another_page_is_told_nothing(pages, origin):
    for method, extra in (("OPTIONS", {"Access-Control-Request-Method": "PUT"}), ("POST", {})):
        reply = ask(pages, "loopback", method, "/function/one", b"", {"Origin": origin, **extra})
        assert allowed(reply) == [] and not reply.headers.get("Access-Control-Allow-Methods")
        assert reply.status == (204 if method == "OPTIONS" else 200)


def test_every_page_where_the_function_says_so(pages):
    reply = ask(pages, "loopback", "POST", "/function/any", b"{}", {"Origin": "null"})
    assert reply.status == 200 and allowed(reply) == ["*"] and "Vary" not in reply.headers


def test_failures_can_be_read_by_the_page_too(pages):
    reply = ask(pages, "loopback", "POST", "/function/fails", b"", PAGE)
    assert reply.status == 500 and allowed(reply) == ["*"]
    assert allowed(ask(pages, "loopback", "GET", "/function/any:nope", headers=PAGE)) == ["*"]


def test_what_the_function_says_itself_stands(pages):
    assert allowed(ask(pages, "loopback", "GET", "/function/own", headers=PAGE)) == ["https://own.example"]


def test_without_cors_the_function_sees_its_preflights(pages):
    reply = ask(pages, "loopback", "OPTIONS", "/function/options", headers=PREFLIGHT)
    assert reply.status == 200 and reply.body == b"OPTIONS" and allowed(reply) == ["*"]
    assert allowed(ask(pages, "loopback", "POST", "/function/none", b"{}", PAGE)) == []


def test_without_an_origin_nothing_is_said(pages):
    assert allowed(ask(pages, "loopback", "POST", "/function/any", b"{}")) == []
    reply = ask(pages, "loopback", "OPTIONS", "/function/own", headers={"Access-Control-Request-Method": "PUT"})
    assert reply.body == b"OPTIONS"


def test_names_that_are_none_are_not_said_again(pages):
    for names in ("x\"y", "x" * 600, "a:b", "<script>"):
        reply = ask(pages, "loopback", "OPTIONS", "/function/one", headers={**PREFLIGHT, "Access-Control-Request-Headers": names})
        assert reply.status == 204 and "Access-Control-Allow-Headers" not in reply.headers


def test_an_origin_that_is_none_is_refused_at_the_deploy(pages):
    for value in ("app.example.org", "https://app.example.org/", "https://a.example,"):
        done = pages.cli("config", "none", "--cors", value, check=False)
        assert done.returncode != 0 and "is not an origin" in done.err
    pages.cli("config", "none", "--cors", "http://localhost:1")
    assert allowed(ask(pages, "loopback", "POST", "/function/none", b"{}", {"Origin": "http://localhost:1"})) == ["http://localhost:1"]
    pages.cli("config", "none", "--cors", "")
    assert allowed(ask(pages, "loopback", "POST", "/function/none", b"{}", {"Origin": "http://localhost:1"})) == []
