/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of layers, with the unpacker, the store and the supervisor played by the test. */
#include "gateway/tree_make.h"

#include "codec/config.h"
#include "gateway/deploy_job.h"
#include "gateway/exec_session.h"
#include "gateway/link.h"
#include "gateway/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the others ---- */

static struct config config;
static struct gateway gateway = {.config = &config};

struct exec_once {
    int unused;
};

static struct {
    struct exec_once handle;
    struct exec_once_options options;
    char argv[512]; /* with a blank behind each */
    bool fails, cancelled;
} unpacker;

static struct {
    store_on_digest *on_done;
    void *owner;
    uint64_t staging;
} digesting;

static struct {
    struct link_waiter *waiter;
    struct message_tree message;
} sent;

static struct {
    uint64_t discarded;
    bool collects, trash_is_used;
    unsigned drain_checks;
} seen;

static struct {
    unsigned count;
    struct tree_result result;
    struct tree_make *released; /* from inside */
} done;

struct exec_once *exec_once(struct gateway *g, const struct exec_once_options *o)
{
    assert_ptr_equal(g, &gateway);
    unpacker.options = *o;
    unpacker.argv[0] = '\0';
    for (unsigned i = 0; o->argv[i]; i++) {
        strcat(unpacker.argv, o->argv[i]);
        strcat(unpacker.argv, " ");
    }
    if (!unpacker.fails)
        return &unpacker.handle;
    close(o->stdin_fd);
    return NULL;
}

void exec_once_cancel(struct exec_once *run)
{
    assert_ptr_equal(run, &unpacker.handle);
    unpacker.cancelled = true;
}

void store_digest_tree(struct store *s, uint64_t staging, store_on_digest *on_done, void *owner)
{
    (void)s;
    digesting.on_done = on_done;
    digesting.owner = owner;
    digesting.staging = staging;
}

void link_register(struct link *l, struct link_waiter *w)
{
    (void)l;
    sent.waiter = w;
}

void link_send(struct link *l, struct link_waiter *w, struct message_header *m, uint32_t size)
{
    (void)l;
    assert_ptr_equal(w, sent.waiter);
    assert_int_equal(size, sizeof(sent.message));
    memcpy(&sent.message, m, size);
}

void deploy_discard(struct gateway *g, uint64_t staging)
{
    (void)g;
    seen.discarded = staging;
}

void deploy_collect_soon(struct gateway *g)
{
    (void)g;
    seen.collects = true;
}

void deploy_trash_is_used(void)
{
    seen.trash_is_used = true;
}

void gateway_check_drained(struct gateway *g)
{
    (void)g;
    seen.drain_checks++;
}

/* ---- doing it ---- */

static void on_room(void *owner)
{
    (void)owner;
}

static void on_done(void *owner, const struct tree_result *r)
{
    assert_ptr_equal(owner, &done);
    done.count++;
    done.result = *r;
    tree_make_release(done.released);
}

static struct tree_make *start(unsigned layer_count, const char (*layers)[MESSAGE_DIGEST_MAX], struct err *e)
{
    const struct tree_make_options o = {.bytes_max = 4096,
                                        .layer_count = layer_count,
                                        .layers = layers,
                                        .on_room = on_room,
                                        .on_done = on_done,
                                        .owner = &done};
    return tree_make_start(&gateway, &o, e);
}

static struct tree_make *start_archive(void)
{
    struct err e = {0};
    struct tree_make *t = start(0, NULL, &e);
    assert_non_null(t);
    return t;
}

static void answer(const char *out)
{
    if (unpacker.options.stdin_fd >= 0)
        close(unpacker.options.stdin_fd);
    const struct exec_result r = {.out = str_from(out)};
    unpacker.options.on_done(unpacker.options.owner, &r);
}

static void publish(int code)
{
    struct message_failed m = {.header.type = MESSAGE_DONE};
    m.error.code = code;
    sent.waiter->on_message(sent.waiter, &m.header, NULL, 0);
}

static void digest(const char *text, bool published)
{
    struct store_tree tree = {.bytes = 77, .published = published};
    const struct err none = {0};
    strcpy(tree.digest, text);
    digesting.on_done(digesting.owner, &none, &tree);
}

static int set_up(void **state)
{
    (void)state;
    memset(&unpacker, 0, sizeof(unpacker));
    memset(&digesting, 0, sizeof(digesting));
    memset(&sent, 0, sizeof(sent));
    memset(&seen, 0, sizeof(seen));
    memset(&done, 0, sizeof(done));
    config = (struct config){.code_entries_max = 100, .archive_bytes_max = 8192, .unpack_timeout_ms = 20};
    gateway.loop = ev_loop_new(EVBACKEND_EPOLL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(tree_make_count(), 0);
    ev_loop_destroy(gateway.loop);
    return 0;
}

/* ---- tests ---- */

static void an_archive_becomes_a_tree_that_is_held_until_it_is_released(void **state)
{
    (void)state;
    char got[8] = "";
    struct tree_make *t = start_archive();
    assert_string_equal(unpacker.argv, "/faasd unpack --plain yes --entries 100 --archive-bytes 8192 --bytes 4096 ");
    assert_int_equal(unpacker.options.kind, MESSAGE_SPAWN_UNPACK);
    assert_int_equal(tree_make_count(), 1);
    assert_int_equal(tree_make_write(t, STR_LITERAL("PK")), 2);
    tree_make_end(t);
    assert_int_equal(read(unpacker.options.stdin_fd, got, sizeof(got)), 2);
    assert_int_equal(read(unpacker.options.stdin_fd, got, sizeof(got)), 0);
    answer("{\"ok\":true}");
    assert_int_equal(digesting.staging, unpacker.options.staging);
    assert_false(tree_is_held("d16e57"));
    digest("d16e57", false);
    assert_true(tree_is_held("d16e57")); /* before its row is there */
    assert_int_equal(sent.message.header.type, MESSAGE_PUBLISH);
    assert_int_equal(sent.message.staging, unpacker.options.staging);
    assert_string_equal(sent.message.digest, "d16e57");
    assert_int_equal(done.count, 0);
    publish(0);
    assert_int_equal(done.count, 1);
    assert_int_equal(done.result.error.code, 0);
    assert_string_equal(done.result.digest, "d16e57");
    assert_int_equal(done.result.bytes, 77);
    assert_int_equal(seen.discarded, 0); /* it is no staging tree any more */
    assert_false(seen.trash_is_used);
    assert_false(seen.collects);
    tree_make_release(t);
    assert_false(tree_is_held("d16e57"));
    assert_true(seen.collects);
    assert_int_equal(seen.drain_checks, 1);
}

static void layers_are_merged_in_their_order_without_an_archive(void **state)
{
    (void)state;
    static const char layers[2][MESSAGE_DIGEST_MAX] = {"aa", "bb"};
    struct err e = {0};
    config.transient = true;
    struct tree_make *t = start(2, layers, &e);
    assert_non_null(t);
    assert_string_equal(unpacker.argv, "/faasd merge-trees --count 2 --bytes 4096 --transient yes ");
    assert_int_equal(unpacker.options.stdin_fd, -1);
    assert_int_equal(unpacker.options.layer_count, 2);
    assert_ptr_equal(unpacker.options.layers, layers);
    answer("{\"ok\":true}");
    digest("d16e57", true);
    done.released = t;
    publish(0);
    assert_int_equal(done.count, 1);
    assert_true(seen.trash_is_used); /* the new tree is one too many */
}

static void what_the_unpacker_says_becomes_an_error_by_its_type(void **state)
{
    (void)state;
    static const struct {
        const char *out;
        int code;
        const char *text;
    } cases[] = {
        {"{\"ok\":false,\"type\":\"BadRequest\",\"error\":\"no zip\"}", EINVAL, "no zip"},
        {"{\"ok\":false,\"type\":\"RequestTooLarge\",\"error\":\"too much\"}", EMSGSIZE, "too much"},
        {"{\"ok\":false,\"type\":\"StorageFull\",\"error\":\"full\"}", ENOSPC, "full"},
        {"{\"ok\":false,\"type\":\"InternalError\",\"error\":\"odd\"}", EIO, "odd"},
        {"{\"ok\":false}", EINVAL, "no reason was given"},
        {"{}", EIO, "the unpacker ended with status 0: "},
        {"", EIO, "the unpacker ended with status 0: "},
        {"[true]", EIO, "the unpacker ended with status 0: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tree_make *t = done.released = start_archive();
        uint64_t staging = unpacker.options.staging;
        done.count = 0;
        tree_make_end(t);
        answer(cases[i].out);
        assert_int_equal(done.count, 1);
        assert_int_equal(done.result.error.code, cases[i].code);
        assert_string_equal(done.result.error.text, cases[i].text);
        assert_int_equal(seen.discarded, staging);
    }
}

static void how_the_run_ended_is_told_where_there_is_no_answer(void **state)
{
    (void)state;
    struct exec_result results[] = {{.out_of_memory = true}, {.timed_out = true}, {.status = 9}};
    static const struct {
        int code;
        const char *part;
    } wanted[] = {{EINVAL, "too much memory"}, {EINVAL, "unpack_timeout"}, {EIO, "status 9"}};
    for (unsigned i = 0; i < 3; i++) {
        done.released = start_archive();
        close(unpacker.options.stdin_fd);
        unpacker.options.on_done(unpacker.options.owner, &results[i]);
        assert_int_equal(done.result.error.code, wanted[i].code);
        assert_non_null(strstr(done.result.error.text, wanted[i].part));
    }
}

static void one_that_is_given_up_is_killed_and_still_calls_back(void **state)
{
    (void)state;
    struct tree_make *t = done.released = start_archive();
    uint64_t staging = unpacker.options.staging;
    tree_make_cancel(t);
    assert_true(unpacker.cancelled);
    assert_int_equal(done.count, 0);
    tree_make_cancel(t);
    answer("{\"ok\":true}"); /* it had answered just before it was killed */
    assert_int_equal(done.count, 1);
    assert_int_equal(done.result.error.code, ECANCELED);
    assert_int_equal(seen.discarded, staging);
}

static void an_archive_that_stops_coming_is_given_up_in_time(void **state)
{
    (void)state;
    done.released = start_archive();
    while (!unpacker.cancelled)
        ev_run(gateway.loop, EVRUN_ONCE);
    answer("");
    assert_int_equal(done.result.error.code, EINVAL);
    assert_non_null(strstr(done.result.error.text, "unpack_timeout"));
}

static void what_the_disk_or_the_supervisor_says_is_passed_on(void **state)
{
    (void)state;
    const struct err full = {.code = ENOSPC, .text = "full"};
    done.released = start_archive();
    answer("{\"ok\":true}");
    digesting.on_done(digesting.owner, &full, NULL);
    assert_int_equal(done.result.error.code, ENOSPC);
    assert_int_equal(seen.discarded, unpacker.options.staging);
    seen.discarded = 0;
    done.released = start_archive();
    answer("{\"ok\":true}");
    digest("d16e57", false);
    publish(EIO);
    assert_int_equal(done.result.error.code, EIO);
    assert_int_equal(seen.discarded, unpacker.options.staging);
    assert_false(tree_is_held("d16e57"));
}

static void no_more_than_a_few_are_made_at_once(void **state)
{
    (void)state;
    struct tree_make *all[TREE_MAKE_MAX];
    struct exec_once_options runs[TREE_MAKE_MAX];
    struct err e = {0};
    for (unsigned i = 0; i < TREE_MAKE_MAX; i++) {
        all[i] = start_archive();
        runs[i] = unpacker.options;
    }
    assert_null(start(0, NULL, &e));
    assert_int_equal(e.code, EAGAIN);
    for (unsigned i = 0; i < TREE_MAKE_MAX; i++) {
        unpacker.options = runs[i];
        done.released = all[i];
        answer("{}");
    }
    unpacker.fails = true;
    assert_null(start(0, NULL, &e));
    assert_int_equal(e.code, ENOMEM);
}

static void holds_are_counted_one_by_one(void **state)
{
    (void)state;
    struct tree_hold a = {0}, b = {0};
    tree_hold(&a, "d16e57");
    tree_hold(&b, "d16e57");
    tree_let_go(&a);
    tree_let_go(&a); /* of one that was never held, too */
    assert_true(tree_is_held("d16e57"));
    tree_let_go(&b);
    assert_false(tree_is_held("d16e57"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_archive_becomes_a_tree_that_is_held_until_it_is_released),
        TEST(layers_are_merged_in_their_order_without_an_archive),
        TEST(what_the_unpacker_says_becomes_an_error_by_its_type),
        TEST(how_the_run_ended_is_told_where_there_is_no_answer),
        TEST(one_that_is_given_up_is_killed_and_still_calls_back),
        TEST(an_archive_that_stops_coming_is_given_up_in_time),
        TEST(what_the_disk_or_the_supervisor_says_is_passed_on),
        TEST(no_more_than_a_few_are_made_at_once),
        TEST(holds_are_counted_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
