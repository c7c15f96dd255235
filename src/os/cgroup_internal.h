/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cgroup files share: cgroup.c (life cycle), cgroup_child.c (groups for forked children), cgroup_procs.c (who is in a group; kill, freeze),
 * cgroup_kept.c, cgroup_cpus.c, cgroup_file.c, cgroup_find.c (where hierarchies are mounted), cgroup_ahead.c, cgroup_sweep.c, cgroup_survey.c, cgroup_v1.c and cgroup_v2.c.
 */
#ifndef FAASD_OS_CGROUP_INTERNAL_H
#define FAASD_OS_CGROUP_INTERNAL_H

#include "base/list.h"
#include "os/cgroup.h"

#include <stddef.h>

enum {
    CGROUP_PATH_MAX = 1024,
    CGROUP_HIERARCHIES_MAX = CGROUP_CONTROLLERS + 1,
    CGROUP_V2_NAME_MAX = 2 * CGROUP_NAME_MAX, /* TEMPLATE/CHILD */
    CGROUP_AHEAD_NAME_MAX = 32,
    CGROUP_ATTRIBUTE_MAX = CGROUP_V2_NAME_MAX + 64
};

#define CGROUP_BIT(c) (1u << (c))

/* One mounted hierarchy, as found. */
struct cgroup_hierarchy {
    bool unified;
    unsigned controllers;        /* CGROUP_BITs; of the unified one: filled when its tree is opened */
    char mount[CGROUP_PATH_MAX]; /* where it is mounted */
    char own[CGROUP_PATH_MAX];   /* this process's own group beneath `mount`, "" = the mount itself, else "/a/b" */
};

struct cgroup_find {
    unsigned count;
    struct cgroup_hierarchy found[CGROUP_HIERARCHIES_MAX];
};

/* 0 or -errno. Hierarchies without a controller of ours are left out, the unified one never is. */
int cgroup_find_hierarchies(struct cgroup_find *ret_find, struct err *e);
unsigned cgroup_parse_controllers(const char *text); /* names separated by spaces, commas or line ends */
const char *cgroup_controller_name(enum cgroup_controller c);

struct cgroup_v1_tree {
    int fd;               /* faasd's directory in it, owned */
    int parent_fd;        /* this process's own group, owned */
    unsigned controllers; /* CGROUP_BITs that limit here */
};

struct cgroup_v2_tree {
    int fd;               /* faasd's directory, -1 = no unified hierarchy; owned */
    int parent_fd;        /* the directory above; owned */
    unsigned controllers; /* CGROUP_BITs that groups get here */
    unsigned enabled;     /* those that we switched on in the parent's subtree_control */
    bool moved;           /* this process sits in a leaf of its own */
    char leaf[CGROUP_NAME_MAX + 16];
};

struct cgroup_tree {
    char name[CGROUP_NAME_MAX];
    char describe[64];
    struct err refused; /* the last hierarchy, or controller, that could not be had; code 0: none */
    bool has_kill, has_freeze;
    unsigned v1_count;
    struct cgroup_v1_tree v1[CGROUP_CONTROLLERS];
    struct cgroup_v2_tree v2;
    struct list kept; /* struct cgroup_files.link, the newest first */
    unsigned kept_count;
    unsigned ahead_count;
    struct cgroup *ahead[CGROUP_AHEAD_MAX]; /* owned; nobody was ever in them */
    uint64_t ahead_serial;
};

/* Attributes that a group may keep open. */
enum cgroup_kept {
    CGROUP_KEPT_LIMIT,
    CGROUP_KEPT_BYTES,
    CGROUP_KEPT_PEAK,
    CGROUP_KEPT_OOM,
    CGROUP_KEPT_PIDS_LIMIT,
    CGROUP_KEPT_PIDS_NOW,
    CGROUP_KEPT_PIDS_EVENTS,
    CGROUP_KEPT_EVENTS,
    CGROUP_KEPT_CPU,
    CGROUP_KEPT_THREADS,
    CGROUP_KEPT
};

struct cgroup_files {
    struct cgroup *group;
    struct list link;     /* struct cgroup_tree.kept */
    int fds[CGROUP_KEPT]; /* -1: no hierarchy of the group's has it */
    int gate; /* the file whose inode the kernel looks at when a child joins, held so that it needs not be made anew; -1 */
    int join[CGROUP_JOIN_MAX];
    unsigned join_count; /* 0: not asked for yet */
};

struct cgroup {
    struct cgroup_tree *tree; /* borrowed: outlives its groups */
    char name[CGROUP_NAME_MAX];
    bool in_v1[CGROUP_CONTROLLERS]; /* has a directory in tree->v1[i] */
    bool in_v2;
    char ahead_name
        [CGROUP_AHEAD_NAME_MAX];      /* what its directories were called when it was made ahead; "" = it was not */
    bool unnamed[CGROUP_CONTROLLERS]; /* the one in tree->v1[i] is still called so, as is the unified one for good */
    bool frozen;
    bool entered_whole;          /* cgroup_holds_only was true */
    bool forkless;               /* pids.max was set to 0 for a kill */
    uint32_t denied_before_kill; /* what pids_denied was then: those refused since are our doing */
    const struct cgroup *
        parent; /* a threaded child: its unified directory lies in this group's, which therefore outlives it. Else NULL */
    int clone_fd;           /* the unified directory, until cgroup_settle */
    int peak_fd;            /* memory.peak of a child, whose resets hold for one descriptor only (v2 since 6.12); -1 */
    uint64_t cpu_before_ns; /* used by those that had the group before */
    int oom_fd;             /* eventfd (v1) or memory.events (v2); -1 until asked for */
    uint64_t oom_seen;      /* oom_kill counter when last told */
    struct cgroup_files *kept; /* owned; NULL: each file is opened when it is needed */
    bool oom_told;             /* the limit was hit: holds even where our kill was faster than the kernel's */
};

/* Attributes of one group: `fd` is the tree's directory. */
void cgroup_attribute_path(char out[CGROUP_ATTRIBUTE_MAX], const char *group, const char *file);
int cgroup_write(int fd, const char *group, const char *file, const char *text, struct err *e);
int cgroup_write_number(int fd, const char *group, const char *file, uint64_t value, struct err *e);
/* -errno, or the length. */
int cgroup_read(int fd, const char *group, const char *file, char *out, size_t cap);
uint64_t cgroup_read_number(int fd, const char *group, const char *file); /* 0 when it can't be read */
/* The number behind `key` in a flat keyed file ("oom_kill 3"); 0 when absent. */
uint64_t cgroup_read_key(int fd, const char *group, const char *file, const char *key);
uint64_t cgroup_find_key(const char *text, const char *key); /* the same in what was read */
bool cgroup_has_file(int fd, const char *group, const char *file);
/* How the group's directory is called beneath tree->v2.fd: its name, or `out`. */
const char *cgroup_v2_name(const struct cgroup *g, char out[CGROUP_V2_NAME_MAX]);

int cgroup_v1_open(struct cgroup_v1_tree *t, const struct cgroup_hierarchy *h, const char *name, struct err *e);
/* The directory, without limits; how it is called at the moment; its limits. */
int cgroup_v1_make(struct cgroup *g, unsigned index, struct err *e);
const char *cgroup_v1_name(const struct cgroup *g, unsigned index);
int cgroup_v1_limit(const struct cgroup *g, unsigned index, const struct cgroup_limits *limits, struct err *e);
bool cgroup_v1_is_wanted(const struct cgroup_v1_tree *t, const struct cgroup_limits *limits);
int cgroup_v1_oom_open(const struct cgroup *g, const struct cgroup_v1_tree *t);
void cgroup_v1_read_usage(const struct cgroup *g, const struct cgroup_v1_tree *t, struct cgroup_usage *usage);

/* Whether a quota would hold such an instance back: not one of as many processors as it may use, which only costs the scheduler time. */
bool cgroup_needs_quota(const struct cgroup_tree *t, const struct cgroup_limits *limits);
/* How many processors a list like "0-2,5" names; 0 when it is malformed. */
unsigned cgroup_count_cpus(const char *list);
struct cgroup_cpuset {
    const char *list;       /* asked for */
    const char *given_file; /* of the directory `fd`: which processors its children may have */
};
/* -EINVAL with those that there are when the list names another: what the kernel says is an errno alone. */
int cgroup_limit_cpuset(int fd, const char *name, const struct cgroup_cpuset *set, struct err *e);

/* want: CGROUP_BITs that no v1 hierarchy has. */
int cgroup_v2_open(struct cgroup_v2_tree *t, const struct cgroup_hierarchy *h, const char *name, unsigned want,
                   struct err *e);
void cgroup_v2_close(struct cgroup_v2_tree *t, const char *name, bool remove);
int cgroup_v2_make(struct cgroup *g, struct err *e); /* the directory, and clone_fd */
int cgroup_v2_create(struct cgroup *g, const struct cgroup_limits *limits, struct err *e);
void cgroup_v2_read_usage(const struct cgroup *g, struct cgroup_usage *usage);

/* The same for those attributes that may be kept open, in whatever hierarchy limits by them. Where none does: -ENOENT, 0, and cgroup_set has nothing to do. */
int cgroup_get(const struct cgroup *g, enum cgroup_kept a, char *out, size_t cap);
uint64_t cgroup_get_number(const struct cgroup *g, enum cgroup_kept a);
uint64_t cgroup_get_key(const struct cgroup *g, enum cgroup_kept a, const char *key);
int cgroup_set(const struct cgroup *g, enum cgroup_kept a, uint64_t value);
void cgroup_keep(struct cgroup *g); /* from now on: as far as there are descriptors */
void cgroup_let_go(struct cgroup *g);
/* Copies of the files by which a child joins are kept, or given out. False: there are none. */
void cgroup_keep_join(struct cgroup *g, const int *fds, unsigned count);
bool cgroup_kept_join(const struct cgroup *g, int fds[CGROUP_JOIN_MAX], unsigned *ret_count);

/* One of those made ahead, from then on called `name`; NULL: there is none. */
struct cgroup *cgroup_take_ahead(struct cgroup_tree *t, const char *name);
void cgroup_discard_ahead(struct cgroup_tree *t);
bool cgroup_is_ahead_name(const char *name); /* of a directory */

void cgroup_discard(struct cgroup *g); /* one that nobody was ever in */
/* Kills who is listed in GROUP/FILE, until a look finds nobody or `rounds` are over. threads: the file lists threads. True when it is empty. */
bool cgroup_kill_listed(int fd, const char *group, const char *file, bool threads, unsigned rounds);
int cgroup_remove_directories(struct cgroup *g); /* those that exist; -EBUSY while somebody is still in one */

/* The tree's v1 hierarchy that holds controller c, NULL where v2 or nobody does. */
const struct cgroup_v1_tree *cgroup_tree_v1(const struct cgroup_tree *t, enum cgroup_controller c);

#endif
