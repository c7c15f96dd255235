/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's frame: the table of subcommands and what they share. */
#ifndef FAASD_CMD_CMD_H
#define FAASD_CMD_CMD_H

enum cmd_exit {
    CMD_OK = 0,
    CMD_FAILED = 1, /* the function or the operation failed */
    CMD_USAGE = 2,
    CMD_NO_SUCH = 3,
    CMD_DENIED = 4,
    CMD_UNREACHABLE = 69, /* no daemon (EX_UNAVAILABLE, sysexits.h) */
    CMD_TRY_AGAIN = 75,   /* 429, 503 (EX_TEMPFAIL) */
};

/* Dispatches on argv[1]. Also the entry of the processes that faasd starts from its own program: argv[0] "faasd-gateway", and the
 * hidden commands "unpack", "merge-trees" and "delete-trees" inside their sandboxes. */
int cmd_main(int argc, char **argv);

/* Every command that people type, in the order of the overview's table; NULL past the end. */
const char *cmd_name(unsigned index);

/* One per subcommand, in cmd/<name>.c: argv[0] is the subcommand. Returns enum cmd_exit. */
int cmd_serve(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_invoke(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_shell(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_describe(int argc, char **argv);
int cmd_versions(int argc, char **argv);
int cmd_alias(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_result(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_secret(int argc, char **argv);
int cmd_invocation(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_bill(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_unpack(int argc, char **argv);       /* inside the unpacker's sandbox */
int cmd_delete_trees(int argc, char **argv); /* inside the deleter's sandbox */
int cmd_merge_trees(int argc, char **argv);  /* inside an unpacker's */

#endif
