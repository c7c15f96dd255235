/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a function as flags: one option per key of codec/settings.h, "cpu_weight" as --cpu-weight, checked
 * by the same parser as the manifest; and --env-file, --unset-env and --no-secrets. What was given becomes the JSON object that the
 * API takes.
 */
#ifndef FAASD_CMD_SETTINGS_FLAGS_H
#define FAASD_CMD_SETTINGS_FLAGS_H

#include "cmd/options.h"
#include "codec/config.h"

enum { SETTINGS_FLAGS_EXTRA = 3 };

struct settings_flags;
struct settings_flag {
    struct settings_flags *owner;
    const char *key; /* as codec/settings.h spells it */
    char name[32];   /* as the command line does */
};

struct settings_flags {
    struct config config;     /* the defaults, for settings_init */
    struct settings settings; /* every given key but env */
    char **env;               /* owned: "NAME=VALUE", or "NAME" for one to remove; the last word on a name wins */
    size_t env_count;
    bool no_secrets; /* those that an earlier version had go */
    struct settings_flag flags[SETTINGS_KEY_COUNT];
    struct option table[SETTINGS_KEY_COUNT + SETTINGS_FLAGS_EXTRA + 1];
};

int settings_flags_init(struct settings_flags *f); /* 0 or -ENOMEM */
void settings_flags_fini(struct settings_flags *f);

bool settings_flags_are_given(const struct settings_flags *f);
bool settings_flags_has(const struct settings_flags *f, enum settings_key key);

/* {"memory":"64M","env":{"A":"1","B":null}} in ASCII, everything else as \uXXXX, on one line. */
int settings_flags_print_json(const struct settings_flags *f, struct buf *out, struct err *e);

#endif
