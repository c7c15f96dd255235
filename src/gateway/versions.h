/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one function's qualifiers name (CONTRACT 6): its numbered versions and its aliases. Numbers only: the whole version is read when it is first called
 * (gateway/version_pool.h). Changed after the store has committed, never before. No I/O.
 */
#ifndef FAASD_GATEWAY_VERSIONS_H
#define FAASD_GATEWAY_VERSIONS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct async_config;
struct pool;

enum {
    VERSIONS_ALIAS_MAX = 129,       /* of an alias's name, with its NUL */
    VERSIONS_WEIGHT_ONE = 1000000,  /* weights are millionths */
    VERSIONS_CHOICES_MAX = 768,     /* of versions_print_choices() */
    VERSIONS_DESCRIPTION_MAX = 257, /* of an alias, with its NUL */
};

/* No version has this number: it stands for $LATEST. */
enum { VERSIONS_LATEST_NUMBER = 0 };

struct versions_known {
    uint64_t number;
    uint64_t used_ms;  /* real time of the last request that is known of; 0 = none */
    struct pool *pool; /* borrowed: of this number alone, while it is called or kept warm; NULL = none */
    uint32_t warm;     /* instances wanted ready by its number (gateway/version_warm.h) */
    uint64_t warm_ms;  /* real time: when that was said */
};

/* Where a name points. A request goes to `second` with a probability of `weight` millionths, otherwise to `number`. */
struct versions_alias {
    char name[VERSIONS_ALIAS_MAX];
    uint64_t number; /* or VERSIONS_LATEST_NUMBER, without a second */
    uint64_t second; /* 0 = none */
    uint32_t weight;
    uint32_t warm;    /* instances of `number` wanted ready by this name */
    uint64_t warm_ms; /* real time: when that was said */
    char description[VERSIONS_DESCRIPTION_MAX];
};

struct versions {
    struct versions_known *known; /* owned, by number */
    size_t count, capacity;
    uint64_t last;                   /* the highest number that was ever given, when it is not known any more */
    struct versions_alias **aliases; /* owned, by name */
    size_t alias_count;
    uint64_t warm_total; /* all that are wanted ready, by numbers and by aliases */
    struct async_config *
        async; /* owned list: what holds for asynchronous calls by a qualifier (gateway/async_config.h); gone with it */
};

void versions_fini(struct versions *v); /* all zero before, and again afterwards */

/* Known already: its `used_ms` is the later of the two. -ENOMEM. */
int versions_add(struct versions *v, uint64_t number, uint64_t used_ms);
int versions_reserve(struct versions *v);                     /* one versions_add() more will not fail; -ENOMEM */
void versions_forget(struct versions *v, uint64_t number);    /* is not given again */
void versions_note_last(struct versions *v, uint64_t number); /* this number was given and is gone */
struct versions_known *versions_find(const struct versions *v, uint64_t number); /* NULL: there is none */
uint64_t versions_next(const struct versions *v); /* of the next deploy: numbers are not used twice */

bool versions_alias_is_valid(struct str name);
const struct versions_alias *versions_find_alias(const struct versions *v, struct str name);
int versions_set_alias(struct versions *v,
                       const struct versions_alias *a); /* copied; `warm` and `warm_ms` stay as they were; -ENOMEM */
void versions_remove_alias(struct versions *v, struct str name);

enum versions_found {
    VERSIONS_FOUND,     /* *ret_number is a known version, or VERSIONS_LATEST_NUMBER */
    VERSIONS_UNKNOWN,   /* it could be a version or an alias, but there is none such */
    VERSIONS_MALFORMED, /* neither a number, an alias's name nor $LATEST */
};
/* A decoded qualifier. An alias with two versions is drawn for anew each time. */
enum versions_found versions_resolve(const struct versions *v, struct str qualifier, uint64_t *ret_number);

/* How many instances of this version are wanted ready, by its number and by aliases together. */
uint64_t versions_warm(const struct versions *v, uint64_t number);
/* What a number or an alias (decoded) wants ready, and of which version: VERSIONS_LATEST_NUMBER where an alias names that. False: there is none such, or it is $LATEST. */
bool versions_read_warm(const struct versions *v, struct str qualifier, uint64_t *ret_number, uint32_t *ret_count);
bool versions_set_warm(struct versions *v, struct str qualifier, uint32_t count);
/* When it was said last; 0: never, or there is none such. */
uint64_t versions_warm_ms(const struct versions *v, struct str qualifier);
void versions_note_warm(struct versions *v, struct str qualifier, uint64_t real_ms);

/* For an error: "$LATEST, 3, 4 and 5; aliases: blue, prod". The newest, where there are too many. */
void versions_print_choices(const struct versions *v, char out[VERSIONS_CHOICES_MAX]);

#endif
