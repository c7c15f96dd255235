/* SPDX-License-Identifier: Apache-2.0 */
/* Part of supervisor/message.h, by which it is included behind the types of messages: which of them may share a record of the socket. */
#ifndef FAASD_SUPERVISOR_MESSAGE_RECORD_H
#define FAASD_SUPERVISOR_MESSAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

enum { MESSAGE_RECORD_MAX = 512 }; /* bytes of the messages that share one */

/* A record is one message. Those that come and go with each child of a template may wait until their sender has done all that its loop was woken for, and then
 * share one, in their order, as long as they bring no descriptor: a record costs both sides more than what stands in it. Whatever else is sent goes at once, behind
 * what waited. */
static inline bool message_may_share(uint32_t type)
{
    return type == MESSAGE_PREPARE || type == MESSAGE_ADOPT || type == MESSAGE_KILL || type == MESSAGE_SPAWNED ||
           type == MESSAGE_EXITED;
}

#endif
