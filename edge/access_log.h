/*
 * The access log: one line for each request, where `access-log` is on. What it shows of a request is copied
 * when the request begins, cut, and freed with its line.
 */
#ifndef EDGE_ACCESS_LOG_H
#define EDGE_ACCESS_LOG_H

#include <stdint.h>

#include "edge/http_msg.h"

struct access_entry;

struct access_entry *access_entry_new(const struct http_head *head);
/* Which upstream answered; a static or long-lived string. */
void access_entry_set_upstream(struct access_entry *entry, const char *upstream);
/* Logs and frees the entry; NULL is fine. `status` 0: the connection ended before an answer. */
void access_entry_end(
    struct access_entry *entry, const char *client, int status, uint64_t bytes, int64_t microseconds);

#endif
