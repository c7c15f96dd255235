/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/report.h"

#include <stdarg.h>
#include <stdio.h>

static size_t print(char out[LAMBDA_REPORT_MAX], size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t print(char out[LAMBDA_REPORT_MAX], size_t at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(out + at, LAMBDA_REPORT_MAX - at, format, ap);
    va_end(ap);
    at += n > 0 ? (size_t)n : 0;
    return at < LAMBDA_REPORT_MAX ? at : LAMBDA_REPORT_MAX - 1;
}

size_t lambda_report_start(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX])
{
    return print(out, 0, "START RequestId: %s Version: %s\n", r->id, r->version);
}

size_t lambda_report_end(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX])
{
    return print(out, 0, "END RequestId: %s\n", r->id);
}

static uint64_t up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit;
}

/* The initialisation is billed since August 2025. */
size_t lambda_report_print(const struct lambda_report *r, char out[LAMBDA_REPORT_MAX])
{
    size_t n = print(out, 0,
                     "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %llu ms\tMemory Size: %llu MB\t"
                     "Max Memory Used: %llu MB\t",
                     r->id, (double)r->run_us / 1e3, (unsigned long long)up(r->run_us + r->init_us, 1000),
                     (unsigned long long)up(r->memory_bytes, 1 << 20), (unsigned long long)up(r->peak_bytes, 1 << 20));
    if (r->init_us)
        n = print(out, n, "Init Duration: %.2f ms\t", (double)r->init_us / 1e3);
    if (r->status)
        n = print(out, n, "Status: %s", r->status);
    if (r->status && r->error_type)
        n = print(out, n, "\tError Type: %s", r->error_type);
    return print(out, n, "\n");
}
