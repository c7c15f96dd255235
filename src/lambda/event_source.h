/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of event sources: kept and told, so that tools which make them are answered. Nothing here polls a source, and every answer says so. */
#ifndef FAASD_LAMBDA_EVENT_SOURCE_H
#define FAASD_LAMBDA_EVENT_SOURCE_H

#include "lambda/operation.h"

enum { EVENT_SOURCES_MAX = 1000 };

extern const struct lambda_operation lambda_create_event_source, lambda_get_event_source, lambda_update_event_source,
    lambda_delete_event_source, lambda_list_event_sources;

#endif
