/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that AWS's platform writes around a request's own: START, END and REPORT. Pure. */
#ifndef FAASD_LAMBDA_REPORT_H
#define FAASD_LAMBDA_REPORT_H

#include <stddef.h>
#include <stdint.h>

enum { LAMBDA_REPORT_MAX = 512 }; /* of each, with its NUL */

struct lambda_report {
    const char *id;           /* of the request */
    const char *version;      /* "$LATEST", "3" */
    uint64_t run_us, init_us; /* init_us 0: it found an instance that was ready */
    uint64_t memory_bytes, peak_bytes;
    const char *status;     /* "timeout", "error"; NULL: it succeeded, or the function itself said that it failed */
    const char *error_type; /* of "error": "Runtime.ExitError" */
};

/* Each returns its length, with its newline. */
size_t lambda_report_start(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX]);
size_t lambda_report_end(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX]);
size_t lambda_report_print(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX]);

#endif
