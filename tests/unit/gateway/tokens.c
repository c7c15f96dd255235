/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tokens.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct tokens *tokens;
static struct err e;

static int set_up(void **state)
{
    (void)state;
    tokens = tokens_new();
    return tokens ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tokens_free(tokens);
    return 0;
}

static void make_text(unsigned number, char text[TOKEN_TEXT_MAX])
{
    snprintf(text, TOKEN_TEXT_MAX, TOKEN_PREFIX "%064x", number);
}

static struct token *add(unsigned number)
{
    char text[TOKEN_TEXT_MAX];
    struct token *token = token_new();
    assert_non_null(token);
    make_text(number, text);
    crypto_sha256(str_from(text), token->digest);
    tokens_add(tokens, token);
    return token;
}

static void each_of_many_is_found_by_each_of_its_names(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static struct token *all[MANY];
    char text[TOKEN_TEXT_MAX], key[TOKEN_ACCESS_KEY_MAX];
    for (unsigned i = 0; i < MANY; i++)
        all[i] = add(i);
    assert_int_equal(tokens_count(tokens), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        make_text(i, text);
        token_print_access_key(all[i], key);
        assert_int_equal(strlen(key), TOKEN_ACCESS_KEY_MAX - 1);
        assert_ptr_equal(tokens_find_bearer(tokens, str_from(text)), all[i]);
        assert_ptr_equal(tokens_find_access_key(tokens, str_from(key)), all[i]);
        assert_ptr_equal(tokens_find_id(tokens, str_from(all[i]->id)), all[i]);
    }
    for (unsigned i = 0; i < MANY; i += 2)
        tokens_remove(tokens, all[i]);
    assert_int_equal(tokens_count(tokens), MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        make_text(i, text);
        assert_int_equal(tokens_find_bearer(tokens, str_from(text)) != NULL, i % 2);
    }
}

static void what_is_no_token_is_nobodys(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "faasd_", "faasd_0", "FAAS", "x"};
    char text[TOKEN_TEXT_MAX];
    struct token *token = add(1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(tokens_find_bearer(tokens, str_from(bad[i])));
        assert_null(tokens_find_access_key(tokens, str_from(bad[i])));
        assert_null(tokens_find_id(tokens, str_from(bad[i])));
    }
    make_text(2, text);
    assert_null(tokens_find_bearer(tokens, str_from(text)));
    /* its id is not its access key, nor is another spelling of that */
    assert_null(tokens_find_access_key(tokens, str_from(token->id)));
    char key[TOKEN_ACCESS_KEY_MAX];
    snprintf(key, sizeof(key), "FAAS%s", token->id);
    if (strpbrk(token->id, "abcdef"))
        assert_null(tokens_find_access_key(tokens, str_from(key)));
}

static void whoever_holds_a_token_sees_its_removal(void **state)
{
    (void)state;
    struct token *token = token_get(add(1));
    tokens_remove(tokens, token);
    assert_true(token->removed);
    token_put(token);
}

static void scopes_are_read_or_refused(void **state)
{
    (void)state;
    struct token *token = add(1);
    assert_int_equal(token_set_scopes(token, STR_LITERAL("deploy invoke:a read invoke:b-2"), &e), 0);
    assert_int_equal(token->scopes, TOKEN_DEPLOY | TOKEN_READ);
    assert_true(token_may_invoke(token, "a"));
    assert_true(token_may_invoke(token, "b-2"));
    assert_false(token_may_invoke(token, "b"));
    assert_false(token_may_invoke(token, ""));
    assert_false(token_may_invoke(token, "deploy"));
    assert_int_equal(token_set_scopes(token, STR_LITERAL("invoke"), &e), 0);
    assert_true(token_may_invoke(token, "whatever"));
    assert_int_equal(token_set_scopes(token, STR_LITERAL("admin"), &e), 0);
    assert_true(token_may_invoke(token, "whatever"));
    static const char *const bad[] = {"",        " ",        "admin ",     " admin",     "admin  read", "Admin",
                                      "invoke:", "invoke:*", "invoke:a b", "invoke:a.b", "write",       "admin,read"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(token_set_scopes(token, str_from(bad[i]), &e), -EINVAL);
        assert_non_null(strstr(e.text, "invoke:FUNCTION"));
        assert_string_equal(token->scopes_text, "admin"); /* as it was */
    }
}

static void scopes_have_a_limit(void **state)
{
    (void)state;
    char text[40 * 16] = "";
    struct token *token = add(1);
    for (unsigned i = 0; i < TOKEN_SCOPES_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%sinvoke:f%u", i ? " " : "", i);
    assert_int_equal(token_set_scopes(token, str_from(text), &e), 0);
    assert_true(token_may_invoke(token, "f31"));
    strcat(text, " read");
    assert_int_equal(token_set_scopes(token, str_from(text), &e), -EINVAL);
    assert_non_null(strstr(e.text, "at most 32"));
}

static void nothing_expires_by_a_clock_that_was_never_set(void **state)
{
    (void)state;
    const uint64_t at = UINT64_C(1795000000000); /* 2026-11 */
    struct token *token = add(1);
    assert_false(token_has_expired(token, at));
    token->expires_ms = at;
    assert_false(token_has_expired(token, at - 1));
    assert_true(token_has_expired(token, at));
    token->expires_ms = 1;
    assert_false(token_has_expired(token, 1000)); /* 1970 */
    assert_true(token_has_expired(token, at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_of_many_is_found_by_each_of_its_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_nobodys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_holds_a_token_sees_its_removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scopes_are_read_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scopes_have_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_expires_by_a_clock_that_was_never_set, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
