/*
 * A worker's connections by id. An id holds a slot and its generation, so that a message which comes late
 * finds nobody rather than somebody else. Ids are never 0.
 */
#ifndef EDGE_CONN_TABLE_H
#define EDGE_CONN_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct conn;
struct conn_table;

struct conn_table *conn_table_new(void);
void conn_table_free(struct conn_table *table); /* not the connections */

uint64_t conn_table_add(struct conn_table *table, struct conn *conn);
struct conn *conn_table_find(const struct conn_table *table, uint64_t id); /* NULL: gone */
void conn_table_remove(struct conn_table *table, uint64_t id);
size_t conn_table_count(const struct conn_table *table);
/* `visit` may remove any connection; one that it adds may be missed. */
void conn_table_each(struct conn_table *table, void (*visit)(struct conn *conn));

#endif
