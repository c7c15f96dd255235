/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/role.h"

#include "gateway/invocation.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct config_role *find_role(const struct config *c, const char *role)
{
    return role && *role ? config_find_role(c, role) : NULL;
}

static const struct config_role *find(const struct config *c, const struct version *v)
{
    return find_role(c, v->role);
}

const char *role_secret(const struct config *c, const struct version *v)
{
    const struct config_role *r = find(c, v);
    return r ? r->secret : "";
}

bool role_names_secret(const struct config *c, const struct version *v, struct str name)
{
    const char *secret = role_secret(c, v);
    return *secret && str_is(name, secret);
}

static bool is_given(const struct settings *s)
{
    return s->given & (UINT64_C(1) << SETTINGS_KEY_NETWORK);
}

/* provided never gets the host's: its Runtime API would be open to every process there. */
static enum settings_network find_network(const struct config *c, const struct settings *s, const char *role)
{
    if (!role || !*role || is_given(s))
        return s->network;
    const struct config_role *r = find_role(c, role);
    enum config_network network = r && r->has_network ? r->network : c->lambda.network;
    if (network == CONFIG_NETWORK_EGRESS)
        return SETTINGS_NETWORK_EGRESS;
    return network == CONFIG_NETWORK_HOST && s->runtime != SETTINGS_RUNTIME_PROVIDED ? SETTINGS_NETWORK_HOST
                                                                                     : SETTINGS_NETWORK_NONE;
}

enum settings_network role_network(const struct config *c, const struct version *v)
{
    return find_network(c, &v->settings, v->role);
}

/* settings_check() has seen the settings alone. */
int role_check(const struct config *c, const struct settings *s, const char *role, struct err *e)
{
    if (s->seccomp != SETTINGS_SECCOMP_STRICT || find_network(c, s, role) == SETTINGS_NETWORK_NONE)
        return 0;
    return err_say(e, EINVAL,
                   "seccomp: strict has no sockets, and the function's role gives it a network (lambda.roles or "
                   "lambda.network of the configuration): say network none");
}

/* What opens it. */
static const char *find_key(const struct config *c, const struct version *v)
{
    if (v->settings.runtime == SETTINGS_RUNTIME_PROVIDED)
        return "network 'egress' opens one for runtime provided (the setting, its role's, or lambda.network)";
    if (!v->role || is_given(&v->settings))
        return "the setting 'network' opens it (faasd config NAME --network egress)";
    const struct config_role *r = find(c, v);
    return r && r->has_network
               ? "'network' of its role in lambda.roles of the configuration opens it"
               : "lambda.network in the configuration opens it, or 'network' of its role in lambda.roles";
}

/* What runtimes and SDKs say when there is no way out, or nobody to ask for an address. */
static bool speaks_of_network(struct str text)
{
    static const char *const words[] = {"etwork is unreachable",
                                        "ENETUNREACH",
                                        "EAI_AGAIN",
                                        "Temporary failure in name resolution",
                                        "Could not connect to the endpoint URL",
                                        "Could not resolve host",
                                        "UnknownHostException"};
    for (size_t i = 0; text.n && i < sizeof(words) / sizeof(words[0]); i++)
        if (memmem(text.p, text.n, words[i], strlen(words[i])))
            return true;
    return false;
}

void role_explain_network(struct invocation *inv, const struct invocation_failure *f)
{
    char line[256];
    struct version *v = inv->version;
    const struct gateway *g = inv->exchange->gateway;
    if (!v || v->network_explained || role_network(g->config, v) != SETTINGS_NETWORK_NONE ||
        (!speaks_of_network(f->message) && !speaks_of_network(f->trace)))
        return;
    v->network_explained = true;
    int n = snprintf(line, sizeof(line), "faasd: this function has no network: %s", find_key(g->config, v));
    store_log_line(g->store, inv->function->name, 0, inv->exchange->id, (struct str){line, (size_t)n});
}
