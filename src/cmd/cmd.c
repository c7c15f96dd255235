/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

#include "gateway/gateway.h"
#include "lambda/lambda.h"
#include "network/network.h"
#include "resolver/resolver.h"

#include "cmd/help.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct command COMMANDS[] = {
    {"serve", cmd_serve},
    {"deploy", cmd_deploy},
    {"config", cmd_config},
    {"invoke", cmd_invoke},
    {"run", cmd_run},
    {"init", cmd_init},
    {"dev", cmd_dev},
    {"shell", cmd_shell},
    {"ls", cmd_ls},
    {"describe", cmd_describe},
    {"versions", cmd_versions},
    {"alias", cmd_alias},
    {"rollback", cmd_rollback},
    {"rm", cmd_rm},
    {"result", cmd_result},
    {"logs", cmd_logs},
    {"check", cmd_check},
    {"stats", cmd_stats},
    {"backup", cmd_backup},
    {"restore", cmd_restore},
    {"secret", cmd_secret},
    {"token", cmd_token},
    {"invocation", cmd_invocation},
    {"why", cmd_why},
    {"learn", cmd_learn},
    {"bill", cmd_bill},
    {"version", cmd_version},
    {"help", cmd_help},
};

/* In no help text: other spellings, and what faasd starts itself, inside the unpacker's and the deleter's sandboxes. */
static const struct command OTHERS[] = {
    {"--version", cmd_version},
    {"--help", cmd_help},
    {"-h", cmd_help},
    {"unpack", cmd_unpack},
    {"delete-trees", cmd_delete_trees},
    {"merge-trees", cmd_merge_trees},
};

enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]), OTHER_COUNT = sizeof(OTHERS) / sizeof(OTHERS[0]) };

static int refuse(const char *name)
{
    const char *nearest = help_find_nearest(name);
    if (nearest)
        fprintf(stderr, "faasd: there is no command '%s', did you mean '%s'?\n", name, nearest);
    else
        fprintf(stderr, "faasd: there is no command '%s'; `faasd help` lists them\n", name);
    return CMD_USAGE;
}

const char *cmd_name(unsigned index)
{
    return index < COMMAND_COUNT ? COMMANDS[index].name : NULL;
}

static const struct command *find(const struct command *commands, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "--url X" and "--root X" may stand before the command, too. */
static bool is_global(const char *word, bool *ret_takes_next)
{
    static const char *const names[] = {"--url", "--root"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(word, names[i], n) == 0 && (word[n] == '\0' || word[n] == '=')) {
            *ret_takes_next = word[n] == '\0';
            return true;
        }
    }
    return false;
}

static void rotate_left(char **words, int count, int by)
{
    for (; by > 0; by--) {
        char *first = words[0];
        memmove(words, words + 1, (size_t)(count - 1) * sizeof(*words));
        words[count - 1] = first;
    }
}

static bool has_verbs(const char *command)
{
    static const char *const names[] = {"alias", "invocation", "secret", "token"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(command, names[i]) == 0)
            return true;
    return false;
}

/* Puts the options that stand before the command behind it, or behind its verb, where its own table judges them. False: there is no command behind them. */
static bool move_globals(int argc, char **argv)
{
    int at = 1;
    bool takes_next;
    while (at < argc && is_global(argv[at], &takes_next))
        at += takes_next ? 2 : 1;
    if (at >= argc)
        return at == 1;
    int words = at + 1 < argc && has_verbs(argv[at]) && argv[at + 1][0] != '-' ? 2 : 1;
    rotate_left(argv + 1, at - 1 + words, at - 1);
    return true;
}

int cmd_main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "faasd-gateway") == 0) {
        prctl(PR_SET_NAME, "faasd-gateway"); /* execveat named the process after a descriptor */
        return gateway_main(lambda_face());
    }
    if (argc > 0 && strcmp(argv[0], "faasd-resolver") == 0)
        return resolver_main();
    if (argc > 0 && strcmp(argv[0], "faasd-network") == 0)
        return network_main();
    if (argc < 2) {
        help_print_overview(stderr);
        return CMD_USAGE;
    }
    if (!move_globals(argc, argv)) {
        fprintf(stderr, "faasd: which command? `faasd help` lists them\n");
        return CMD_USAGE;
    }
    const struct command *command = find(COMMANDS, COMMAND_COUNT, argv[1]);
    if (!command)
        command = find(OTHERS, OTHER_COUNT, argv[1]);
    return command ? command->run(argc - 1, argv + 1) : refuse(argv[1]);
}
