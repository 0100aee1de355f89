#include "common/cli/rewrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

/* STRETCH rows are looked at and BATCH of them written at once. PASSES: an issuer that does not have the new
 * key in front yet goes on sealing for the old one; it is not waited for for ever. */
enum { QUERY_MS = 30000, STRETCH = 1000, BATCH = 100, BLOB_MAX = 16 * 1024, PASSES = 3, SQL_MAX = 1024 };

/* `place`: what the rows are walked by, unique and text. `extra`: what changes with the blob. */
static const struct sealed_column {
	const char *table;
	const char *column;
	const char *place;
	const char *kind;
	const char *name;
	const char *version;
	const char *extra;
} columns[] = {
    {"certificates", "key_sealed", "name", "certificate_key", "name", "version", ", key_id = $4"},
    {"issuance_jobs", "key_sealed", "name", "issuance_key", "name", "key_version", ""},
    {"ca_accounts", "key_sealed", "directory", "account_key", "directory", "key_version", ""},
    {"ca_accounts", "key_next_sealed", "directory", "account_key", "directory", "key_version + 1", ""},
    {"ca_tasks", "key_sealed", "id::text", "certificate_key", "name", "version", ""},
    {"webhooks", "secret_sealed", "id::text", "webhook_secret", "id::text", "secret_version", ""},
    {"webhooks", "former_sealed", "id::text", "webhook_secret", "id::text", "secret_version - 1", ""},
    {"ticket_keys", "key_sealed", "generation::text", "ticket_key", "'ticket_keys'", "generation", ""},
};

struct batch {
	char *places[BATCH];
	char *old[BATCH];
	char *new[BATCH];
	size_t count;
};

struct run {
	struct pg *pg;
	const struct seal_keys *keys;
	const struct sealed_column *column;
	struct rewrap_count *count;
	struct error *error;
};

static char *hex_of(const void *bytes, size_t size)
{
	char *text = mem_alloc(2 * size + 3);
	strcpy(text, "\\x");
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
	return text;
}

static void clear(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		free(batch->places[i]);
		free(batch->old[i]);
		free(batch->new[i]);
	}
	batch->count = 0;
}

/* Compare and swap, all of a batch in one statement: no lock is held while keys are at work. Not every column
 * has use for the key's id, and PostgreSQL wants to see each parameter. */
static enum result write_batch(struct run *run, struct batch *batch)
{
	const struct sealed_column *column = run->column;
	PGresult *done = NULL;
	char sql[SQL_MAX];
	if (batch->count == 0)
		return R_OK;
	snprintf(sql, sizeof sql,
	    "UPDATE %s t SET %s = n.new%s FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS n (place, "
	    "old, new)"
	    " WHERE t.%s = n.place AND t.%s = n.old AND $4 <> ''",
	    column->table, column->column, column->extra, column->place, column->column);
	char *places = pg_text_array((const char *const *)batch->places, batch->count);
	char *old = pg_text_array((const char *const *)batch->old, batch->count);
	char *new = pg_text_array((const char *const *)batch->new, batch->count);
	enum result result = pg_run(run->pg, QUERY_MS, &done, run->error, sql, pg_text(places), pg_text(old),
	    pg_text(new), pg_text(seal_keys_id(run->keys)));
	if (result == R_OK) {
		int64_t written = strtoll(PQcmdTuples(done), NULL, 10);
		run->count->wrapped += written;
		run->count->changed += (int64_t)batch->count - written;
	}
	PQclear(done);
	free(new);
	free(old);
	free(places);
	clear(batch);
	return result;
}

static enum result add_row(struct run *run, struct batch *batch, const PGresult *rows, int row)
{
	const struct seal_place place = {
	    .kind = run->column->kind, .name = pg_get(rows, row, 1), .version = pg_get_int(rows, row, 2)};
	struct error why;
	struct buf plain, sealed;
	size_t size = 0;
	buf_init(&plain, BLOB_MAX);
	buf_init(&sealed, BLOB_MAX + SEAL_OVERHEAD);
	unsigned char *blob = pg_get_bytes(rows, row, 3, &size);
	if (!blob || seal_open(run->keys, &place, blob, size, &plain, &why) != R_OK ||
	    seal_bytes(run->keys, &place, buf_bytes(&plain), buf_size(&plain), &sealed, &why) != R_OK) {
		run->count->closed++;
		goto out;
	}
	batch->places[batch->count] = mem_string(pg_get(rows, row, 0));
	batch->old[batch->count] = hex_of(blob, size);
	batch->new[batch->count] = hex_of(buf_bytes(&sealed), buf_size(&sealed));
	batch->count++;
out:
	free(blob);
	buf_fini(&sealed);
	buf_wipe(&plain);
	return batch->count == BATCH ? write_batch(run, batch) : R_OK;
}

/* Reads a stretch after `place`, which moves on. R_EOF: there was none. The blob's key is named in its bytes
 * 2 to 9 (common/seal.h). */
static enum result do_stretch(struct run *run, char **place)
{
	const struct sealed_column *column = run->column;
	struct batch batch = {.count = 0};
	PGresult *rows = NULL;
	char sql[SQL_MAX];
	snprintf(sql, sizeof sql,
	    "SELECT %s AS place, %s, %s, CASE WHEN substring(%s FROM 2 FOR 8) <> decode($2, 'hex') THEN %s "
	    "END"
	    " FROM %s WHERE %s > $1 ORDER BY %s LIMIT %d",
	    column->place, column->name, column->version, column->column, column->column, column->table,
	    column->place, column->place, STRETCH);
	enum result result = pg_run(
	    run->pg, QUERY_MS, &rows, run->error, sql, pg_text(*place), pg_text(seal_keys_id(run->keys)));
	int count = result == R_OK ? PQntuples(rows) : 0;
	for (int row = 0; row < count && result == R_OK; row++)
		if (pg_get(rows, row, 3))
			result = add_row(run, &batch, rows, row);
	if (result == R_OK)
		result = write_batch(run, &batch);
	if (result == R_OK && count == 0)
		result = R_EOF;
	if (result == R_OK) {
		run->count->seen += count;
		free(*place);
		*place = mem_string(pg_get(rows, count - 1, 0));
	}
	clear(&batch);
	PQclear(rows);
	return result;
}

static enum result do_column(struct run *run)
{
	struct rewrap_count before;
	enum result result = R_OK;
	int pass = 0;
	do {
		char *place = mem_string("");
		before = *run->count;
		run->count->seen = run->count->closed = 0;
		do
			result = do_stretch(run, &place);
		while (result == R_OK);
		free(place);
	} while (result == R_EOF && run->count->changed > before.changed && ++pass < PASSES);
	return result == R_EOF ? R_OK : result;
}

enum result rewrap_all(struct pg *pg, const struct seal_keys *keys, rewrap_report *report, void *arg,
    struct rewrap_count *sum, struct error *error)
{
	*sum = (struct rewrap_count){0};
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		struct rewrap_count count = {0};
		struct run run = {
		    .pg = pg, .keys = keys, .column = &columns[i], .count = &count, .error = error};
		char name[80];
		enum result result = do_column(&run);
		if (result != R_OK)
			return result;
		snprintf(name, sizeof name, "%s.%s", columns[i].table, columns[i].column);
		report(arg, name, &count);
		sum->seen += count.seen;
		sum->wrapped += count.wrapped;
		sum->changed += count.changed;
		sum->closed += count.closed;
	}
	return R_OK;
}
