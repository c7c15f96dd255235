/* SPDX-License-Identifier: Apache-2.0 */
/* The reply of a CGI program (RFC 3875, section 6): head lines, an empty line, the body. */
#ifndef FAASD_GATEWAY_CGI_H
#define FAASD_GATEWAY_CGI_H

#include "base/str.h"

struct cgi_reply {
    int status;        /* from Status; 302 with a Location alone; else 200 */
    struct str fields; /* complete lines for HTTP, Content-Type included, in the caller's buffer */
    struct str body;
};

/* `out` is what the program wrote; fields are written to buffer. Lines end with LF or CRLF. NULL, or what is wrong with it. A local redirect (Location: /path)
 * is answered to the client as 302 rather than followed inside: one request starts one program. */
const char *cgi_parse_reply(struct str out, char *buffer, size_t cap, struct cgi_reply *ret_reply);

/* Does an empty line end the head already? */
bool cgi_head_is_complete(struct str out);

/* Appends "Name: value\r\n" for a field that a function may set; drops framing ones and those that are faasd's own. False when the field is invalid or there is
 * no room. Shared with native replies. */
bool cgi_add_field(struct str name, struct str value, char *buffer, size_t cap, size_t *len);

#endif
