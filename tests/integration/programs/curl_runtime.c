/* SPDX-License-Identifier: Apache-2.0 */
/* A small runtime on libcurl, set up as the C++ runtime client sets it up: one kept-alive connection, TCP_NODELAY, a short connect timeout, no Expect. The reply is the
 * event. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 8 << 20 };

static char event[BODY_MAX + 1];
static size_t event_len;
static char request_id[64];

static size_t take_body(char *p, size_t size, size_t count, void *context)
{
    (void)context;
    size_t n = size * count;
    if (n > BODY_MAX - event_len)
        return 0;
    memcpy(event + event_len, p, n);
    event_len += n;
    return n;
}

static size_t drop_body(char *p, size_t size, size_t count, void *context)
{
    (void)p;
    (void)context;
    return size * count;
}

static size_t take_header(char *p, size_t size, size_t count, void *context)
{
    static const char name[] = "lambda-runtime-aws-request-id: ";
    (void)context;
    size_t n = size * count;
    if (n > sizeof(name) - 1 + 36 && strncasecmp(p, name, sizeof(name) - 1) == 0) {
        memcpy(request_id, p + sizeof(name) - 1, 36);
        request_id[36] = '\0';
    }
    return n;
}

static void perform(CURL *curl, long wanted)
{
    long status = 0;
    CURLcode r = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (r != CURLE_OK || status != wanted) {
        fprintf(stderr, "status %ld: %s\n", status, curl_easy_strerror(r));
        exit(1);
    }
}

static void get_next(CURL *curl, const char *base)
{
    char url[256];
    snprintf(url, sizeof(url), "%s/invocation/next", base);
    event_len = 0;
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    perform(curl, 200);
}

static void post_response(CURL *curl, const char *base, struct curl_slist *headers)
{
    char url[256];
    snprintf(url, sizeof(url), "%s/invocation/%s/response", base, request_id);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, event);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)event_len);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    perform(curl, 202);
}

int main(void)
{
    char base[128];
    snprintf(base, sizeof(base), "http://%s/2018-06-01/runtime", getenv("AWS_LAMBDA_RUNTIME_API"));
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = curl_slist_append(headers, "transfer-encoding:");
    headers = curl_slist_append(headers, "content-type: application/json");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "libcurl-client");
    for (;;) {
        get_next(curl, base);
        post_response(curl, base, headers);
    }
}
