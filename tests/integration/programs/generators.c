/* SPDX-License-Identifier: Apache-2.0 */
/* What each generator of random numbers says after a fork. */
#include <dlfcn.h>
#include <faasd/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int (*rand_bytes)(unsigned char *, int);
static void (*uuid_random)(unsigned char *), (*uuid_time)(unsigned char *);

/* Each generator has given its first numbers before the fork. */
static int prepare(void)
{
    unsigned char bytes[32];
    void *crypto = dlopen("libcrypto.so.3", RTLD_NOW), *uuid = dlopen("libuuid.so.1", RTLD_NOW);
    if (crypto)
        rand_bytes = (int (*)(unsigned char *, int))dlsym(crypto, "RAND_bytes");
    if (uuid) {
        uuid_random = (void (*)(unsigned char *))dlsym(uuid, "uuid_generate_random");
        uuid_time = (void (*)(unsigned char *))dlsym(uuid, "uuid_generate_time");
        uuid_random(bytes); /* not uuid_time(): what libuuid keeps of it nobody can reseed (docs/functions/native.md) */
    }
    if (rand_bytes)
        rand_bytes(bytes, 16);
    srand(1);
    srand48(1);
    return (double)(rand() + random()) + drand48() < 0;
}

static void put(struct faasd_reply *reply, const char *name, const void *bytes, size_t n)
{
    faasd_reply_printf(reply, ", \"%s\": \"", name);
    for (size_t i = 0; i < n; i++)
        faasd_reply_printf(reply, "%02x", ((const unsigned char *)bytes)[i]);
    faasd_reply_text(reply, "\"");
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    unsigned char bytes[32];
    (void)event;
    faasd_reply_printf(reply, "{\"rand\": \"%x %x\"", rand(), rand());
    faasd_reply_printf(reply, ", \"random\": \"%lx %lx\"", random(), random());
    faasd_reply_printf(reply, ", \"drand48\": \"%a %a\"", drand48(), drand48());
    faasd_random_seed(bytes);
    put(reply, "seed", bytes, 32);
    if (getrandom(bytes, 16, 0) == 16)
        put(reply, "getrandom", bytes, 16);
    if (rand_bytes && rand_bytes(bytes, 16) == 1)
        put(reply, "openssl", bytes, 16);
    if (uuid_random) {
        uuid_random(bytes);
        put(reply, "uuid4", bytes, 16);
        uuid_time(bytes);
        put(reply, "uuid1", bytes, 16);
    }
    return faasd_reply_text(reply, "}");
}

FAASD_FUNCTION_WITH_INIT(prepare, handle)
