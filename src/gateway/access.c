/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/access.h"

#include "base/fmt.h"
#include "gateway/conn.h"
#include "gateway/credential.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- what stands between a browser and everything but functions ---- */

static bool is_literal_address(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return str_copy((struct str){host.p + 1, host.n - 2}, text, sizeof(text)) &&
               inet_pton(AF_INET6, text, address) == 1;
    return str_copy(host, text, sizeof(text)) && inet_pton(AF_INET, text, address) == 1;
}

static struct str without_port(struct str host)
{
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n > 0 && n < host.n && host.p[n - 1] == ':')
        host.n = n - 1;
    return host;
}

/* A name that only an attacker's DNS server points at this machine is not among these (DNS rebinding). */
static bool host_is_ours(struct str host, const struct gateway *g)
{
    static const char *const loopback[] = {"localhost", "ip6-localhost", "localhost.localdomain"};
    host = without_port(host);
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        if (str_is_nocase(host, loopback[i]))
            return true;
    for (uint32_t i = 0; i < g->config->host_count; i++)
        if (str_is_nocase(host, g->config->hosts[i]))
            return true;
    return is_literal_address(host) || (g->boot->hostname[0] && str_is_nocase(host, g->boot->hostname));
}

static bool comes_from_elsewhere(const struct http1_request *r)
{
    const struct http1_field *site = http1_find_field(r->fields, r->field_count, "sec-fetch-site");
    return http1_find_field(r->fields, r->field_count, "origin") ||
           (site && !str_is(site->value, "same-origin") && !str_is(site->value, "none"));
}

static bool pass_fence(struct exchange *x)
{
    if (!host_is_ours(x->host, x->gateway)) {
        exchange_error(x, 421, "MisdirectedRequest",
                       "the Host '%.*s' is not a name of this machine; `hosts` of the configuration adds one",
                       (int)(x->host.n < CONFIG_HOST_MAX ? x->host.n : CONFIG_HOST_MAX), x->host.p);
        return false;
    }
    if (!comes_from_elsewhere(x->request))
        return true;
    exchange_error(x, 403, "Forbidden", "the control API takes no requests from web pages");
    return false;
}

/* ---- the control API ---- */

static bool changes_something(const struct exchange *x)
{
    struct str method = x->request->method;
    return !x->only_reads && !str_is(method, "GET") && !str_is(method, "HEAD") && !str_is(method, "OPTIONS");
}

static bool show_credential(struct exchange *x)
{
    bool none;
    if (credential_read(x, changes_something(x), &none)) {
        x->explain = true; /* whoever manages functions is told why something fails, wherever he is */
        return true;
    }
    if (none)
        credential_demand(
            x, "the control API needs a credential over TCP: a token (`Authorization: Bearer ...`, FAASD_TOKEN; "
               "`faasd token create` makes one), an AWS signature, or use control.sock");
    return false;
}

bool access_enter_control(struct exchange *x)
{
    if (x->listener == GATEWAY_LISTENER_CONTROL)
        return true;
    if (x->listener == GATEWAY_LISTENER_INVOKE) {
        exchange_error(x, 403, "Forbidden", "this socket only invokes functions; the control API is on control.sock");
        return false;
    }
    return pass_fence(x) && show_credential(x);
}

static unsigned scopes_for(enum access_level level)
{
    switch (level) {
    case ACCESS_METRICS:
    case ACCESS_READ:
        return TOKEN_READ | TOKEN_DEPLOY | TOKEN_ADMIN;
    case ACCESS_DEPLOY:
        return TOKEN_DEPLOY | TOKEN_ADMIN;
    default:
        return TOKEN_ADMIN;
    }
}

bool access_has(const struct exchange *x, enum access_level level)
{
    if (level == ACCESS_OPEN || x->listener == GATEWAY_LISTENER_CONTROL)
        return true;
    if (level == ACCESS_METRICS && !x->is_remote)
        return true;
    return x->token && x->token->scopes & scopes_for(level);
}

static void refuse_scope(struct exchange *x, const char *wanted)
{
    x->explain = true;
    exchange_error(x, 403, "Forbidden", "this needs a token with the scope %s; token %s has: %s", wanted, x->token->id,
                   x->token->scopes_text);
}

bool access_admit(struct exchange *x, enum access_level level)
{
    static const char *const wanted[] = {
        [ACCESS_OPEN] = "",         [ACCESS_METRICS] = "read", [ACCESS_READ] = "read",
        [ACCESS_DEPLOY] = "deploy", [ACCESS_ADMIN] = "admin",
    };
    bool tcp = x->listener == GATEWAY_LISTENER_LOOPBACK || x->listener == GATEWAY_LISTENER_REMOTE;
    if (level == ACCESS_METRICS && tcp && !pass_fence(x))
        return false;
    if (access_has(x, level))
        return true;
    if (!x->token && !show_credential(x))
        return false;
    if (access_has(x, level))
        return true;
    refuse_scope(x, wanted[level]);
    return false;
}

/* ---- functions ---- */

static enum settings_auth auth_of(const struct exchange *x, const struct function *f)
{
    enum settings_auth auth = f->current->settings.auth;
    if (auth == SETTINGS_AUTH_DEFAULT)
        auth = x->gateway->config->default_auth;
    if (auth == SETTINGS_AUTH_DEFAULT)
        auth = x->is_remote ? SETTINGS_AUTH_TOKEN : SETTINGS_AUTH_ANONYMOUS;
    return auth;
}

static bool demand_for_function(struct exchange *x, const struct function *f, bool admin)
{
    if (admin)
        credential_demand(
            x, "function '%s' has auth 'admin': it takes a token with the scope admin, or use control.sock", f->name);
    else
        credential_demand(
            x,
            "function '%s' needs a token here (`Authorization: Bearer ...`; `faasd token create --scope "
            "invoke:%s` makes one) or an AWS signature: or set its auth to 'anonymous', or use control.sock",
            f->name, f->name);
    return false;
}

bool access_admit_function(struct exchange *x, const struct function *f)
{
    bool none;
    enum settings_auth auth = auth_of(x, f);
    if (x->listener == GATEWAY_LISTENER_CONTROL || auth == SETTINGS_AUTH_ANONYMOUS)
        return true;
    bool admin = auth == SETTINGS_AUTH_ADMIN;
    if (!credential_read(x, false, &none))
        return none ? demand_for_function(x, f, admin) : false;
    if (x->token->scopes & TOKEN_ADMIN || (!admin && token_may_invoke(x->token, f->name)))
        return true;
    char wanted[2 * SETTINGS_NAME_MAX];
    fmt_to(wanted, sizeof(wanted), admin ? "admin%s" : "invoke or invoke:%s", admin ? "" : f->name);
    refuse_scope(x, wanted);
    return false;
}

bool access_admit_lambda(struct exchange *x, const struct function *f)
{
    bool none;
    if (x->listener == GATEWAY_LISTENER_CONTROL)
        return true;
    if (x->listener == GATEWAY_LISTENER_INVOKE)
        return !f || access_admit_function(x, f);
    if (!credential_read(x, false, &none)) {
        if (none)
            credential_demand(x, "Lambda's API takes an AWS signature or a token over TCP");
        return false;
    }
    bool admin = f && auth_of(x, f) == SETTINGS_AUTH_ADMIN;
    if (x->token->scopes & TOKEN_ADMIN || (!f && x->token->scopes & TOKEN_INVOKE) ||
        (f && !admin && token_may_invoke(x->token, f->name)))
        return true;
    refuse_scope(x, admin ? "admin" : "invoke");
    return false;
}

/* ---- for the log ---- */

void access_print_caller(const struct exchange *x, char out[ACCESS_CALLER_MAX])
{
    struct ucred peer;
    socklen_t n = sizeof(peer);
    fmt_to(out, ACCESS_CALLER_MAX, "anybody");
    if (x->token)
        fmt_to(out, ACCESS_CALLER_MAX, "token:%s", x->token->id);
    else if (x->listener == GATEWAY_LISTENER_CONTROL && x->conn &&
             getsockopt(x->conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0)
        fmt_to(out, ACCESS_CALLER_MAX, "uid:%u", peer.uid == 0 ? x->gateway->boot->owner : peer.uid);
}
