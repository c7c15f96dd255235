/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's side of HTTP/1.1: finds the daemon, sends one request a connection, reads its reply. Blocking
 * from the caller's view.
 */
#ifndef FAASD_CMD_CLIENT_H
#define FAASD_CMD_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "cmd/options.h"
#include "codec/http1.h"

/* Where the daemon is looked for (CONTRACT 2): --url, FAASD_URL, --root, FAASD_ROOT, the user's socket, the system's. What a URL names gets the token of client_token.c, a socket
 * that was found gets none: its file's mode has asked already. */
struct client_target {
    const char *url;
    const char *root;
};

/* The two options as entries of a command's table. */
#define CLIENT_OPTIONS(where)                                                                                          \
    {.name = "url", .kind = OPTION_TEXT, .target = &(where)->url},                                                     \
    {                                                                                                                  \
        .name = "root", .kind = OPTION_TEXT, .target = &(where)->root                                                  \
    }

struct client; /* one connection, one request */

/* A message for the person, and the exit status in *ret_exit: CMD_UNREACHABLE, CMD_DENIED or CMD_USAGE. */
int client_open(struct client **ret_client, const struct client_target *t, int *ret_exit, struct err *e);
int client_open_socket(struct client **ret_client, const char *path, int *ret_exit, struct err *e);
void client_close(struct client *c); /* NULL is fine */

/* The path and port of what was found, for messages: "unix:///run/faasd/control.sock", "http://127.0.0.1:8080". */
const char *client_url(const struct client *c);

struct client_request {
    const char *method;
    const char *target;                             /* path and query, already encoded */
    struct str fields;                              /* further header lines, each ended by CRLF */
    struct str body;                                /* used when body_fd is -1 */
    int body_fd;                                    /* read from its current offset to its end; -1: none. Borrowed */
    bool has_body;                                  /* false: neither is sent */
    void (*on_sent)(void *context, uint64_t bytes); /* progress; may be NULL */
    void *context;
};

/* Sends it and reads the reply's head, which points into the client's memory. An early reply ends the sending. */
int client_send(struct client *c, const struct client_request *r, const struct http1_response **ret_reply,
                struct err *e);

/* FAASD_TOKEN, or what the file FAASD_TOKEN_FILE holds, as a header line ended by CRLF; nothing where neither is set. -EINVAL with a sentence: what is there is no token. */
int client_print_token(struct buf *out, struct err *e);

/* The next run of the body, borrowed until the next call; empty at its end. A body that breaks off is an error. */
int client_read(struct client *c, struct str *ret_piece, struct err *e);
int client_read_all(struct client *c, struct buf *out, struct err *e);

/* After a 101: the socket, the caller's, and what was read already (borrowed until client_close). */
int client_take_socket(struct client *c, struct str *ret_early);

/* CMD_OK below 400, otherwise by status: 404 -> 3, 401 and 403 -> 4, 429 and 503 -> 75, all else 1. */
int client_exit_status(unsigned status);

/* `path` with each byte that a query or segment can't carry percent-encoded, added to `out`. */
int client_encode(struct buf *out, const char *text);

/* Opens, sends, reads all, reports: for commands that ask one question. `out` gets the reply's body when the exit
 * status is CMD_OK; everything else has been said on stderr after "faasd COMMAND: ". */
struct client_call {
    const char *command;
    const struct client_target *target;
    const struct client_request *request;
};
int client_call(const struct client_call *call, struct buf *out);
/* The same for an answer in JSON, which goes to stdout: as it is, or as `print` shows it. Returns the exit status. */
struct json;
int client_show(const struct client_call *call, bool json, void (*print)(const struct json *reply));

/* "/v1/functions/NAME" + rest, with a NUL. 0 or -ENOMEM. */
int client_path(struct buf *out, const char *name, const char *rest);

/* Could this be a function's name? If not, says so and how to write one: CMD_USAGE is due. */
bool client_check_name(const char *command, struct str name);

/* The command line of a command for one function: its options, then NAME, checked. OPTIONS_GO_ON with *ret_name, or the exit status. */
struct option;
int client_parse_name(const char *command, const struct option *table, int argc, char **argv, const char **ret_name);

/* Reads the body of an error reply and says what it says; returns its exit status, never CMD_OK. */
int client_refused(const char *command, struct client *c, const struct http1_response *reply);
/* The same below the request's log: faasd's own word from there, and nothing again that the function said there already. `shown` NULL: no log. */
struct log_shown;
int client_refused_below(const char *command, struct client *c, const struct http1_response *reply,
                         const struct log_shown *shown);

/* Says what an error reply says, readably, on stderr, and returns its exit status. */
int client_report(const char *command, const struct http1_response *reply, struct str body);

#endif
