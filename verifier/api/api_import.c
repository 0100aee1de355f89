#include "verifier/api/api_import.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "verifier/access/token.h"
#include "verifier/api/import_line.h"
#include "verifier/http/problem.h"

/* Each waits for the pool and its statements for seconds. */
enum { TRIES = 5 };

struct import {
	struct mhd_stream stream; /* first: the server hands it back */
	struct import *next;      /* of those that are under way */
	const struct config *config;
	struct pg_pool *pool;
	struct api_caller caller;
	struct scope scope;
	int64_t id;
	struct buf text; /* the line that is coming in */
	bool overlong;   /* it has passed IMPORT_LINE_MAX: its rest is skipped */
	int lines;       /* begun, empty ones too */
	bool full;       /* IMPORT_LINES have come: the rest is not read */
	struct import_line batch[IMPORT_BATCH];
	int count;
	struct error error; /* why it could not go on; "" as long as it can */
	bool revoked;       /* that is: its token is */
	PGresult *page;     /* of results that are being sent */
	int row;
	size_t offset; /* in this row */
	int64_t sent;  /* lines up to this one */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct import *running; /* guarded by the lock */

static bool has_room(const struct scope *scope)
{
	int all = 0, of_tenants = 0, own = 0;
	for (const struct import *at = running; at; at = at->next) {
		all++;
		of_tenants += at->scope.tenant != NULL;
		own += scope->tenant && at->scope.tenant && strcmp(at->scope.tenant, scope->tenant) == 0;
	}
	return all < IMPORT_RUNNING && (!scope->tenant || (!own && of_tenants < IMPORT_RUNNING - 1));
}

static bool enter(struct import *import)
{
	pthread_mutex_lock(&lock);
	bool granted = has_room(&import->scope);
	if (granted) {
		import->next = running;
		running = import;
	}
	pthread_mutex_unlock(&lock);
	return granted;
}

static void leave(struct import *import)
{
	pthread_mutex_lock(&lock);
	struct import **link = &running;
	while (*link != import)
		link = &(*link)->next;
	*link = import->next;
	pthread_mutex_unlock(&lock);
}

/* An import may take a quarter of an hour: a token that is revoked meanwhile adds no more. */
static enum result check_token(struct import *import, struct pg *pg)
{
	enum result result =
	    import->caller.holder.id ? token_check(pg, import->caller.holder.id, &import->error) : R_OK;
	if (result == R_NONE) {
		import->revoked = true;
		error_set(&import->error, "its token was revoked or has expired");
	}
	return result;
}

/* Adds those that were not refused, and tells each what became of it. */
static enum result add_batch(struct import *import, struct pg *pg, enum domain_added outcomes[IMPORT_BATCH])
{
	struct domain_new *claims = mem_alloc_array(IMPORT_BATCH, sizeof *claims);
	enum domain_added added[IMPORT_BATCH];
	int count = 0, at = 0;
	for (int i = 0; i < import->count; i++)
		if (!import->batch[i].code)
			claims[count++] = import->batch[i].claim;
	enum result result = !count ? R_OK
				    : domain_add(pg, &import->scope, import->config->rules.quota, claims,
					  count, added, &import->error);
	for (int i = 0; result == R_OK && i < import->count; i++) {
		struct import_line *line = &import->batch[i];
		outcomes[i] = line->code ? DOMAIN_EXISTS : added[at];
		if (!line->code)
			memcpy(line->claim.token, claims[at++].token, sizeof line->claim.token);
	}
	free(claims);
	return result;
}

static enum result keep_results(
    struct import *import, struct pg *pg, const enum domain_added outcomes[IMPORT_BATCH])
{
	char *answers[IMPORT_BATCH], numbers[IMPORT_BATCH][12];
	const char *texts[IMPORT_BATCH], *lines[IMPORT_BATCH];
	for (int i = 0; i < import->count; i++) {
		texts[i] = answers[i] = import_line_answer(&import->batch[i], import->config, outcomes[i]);
		snprintf(numbers[i], sizeof numbers[i], "%d", import->batch[i].number);
		lines[i] = numbers[i];
	}
	char *line_array = pg_text_array(lines, (size_t)import->count);
	char *text_array = pg_text_array(texts, (size_t)import->count);
	enum result result = pg_run(pg, SCOPE_QUERY_MS, NULL, &import->error,
	    "INSERT INTO import_results (import, line, answer)"
	    " SELECT $1::bigint, l::int, a FROM unnest($2::text[], $3::text[]) AS t (l, a) ON CONFLICT DO "
	    "NOTHING",
	    pg_int(import->id), pg_text(line_array), pg_text(text_array));
	free(text_array);
	free(line_array);
	for (int i = 0; i < import->count; i++)
		free(answers[i]);
	return result;
}

static enum result work_off(struct import *import)
{
	enum domain_added outcomes[IMPORT_BATCH];
	import->error.text[0] = '\0';
	struct pg *pg = pg_pool_take(import->pool, &import->error);
	enum result result = pg ? check_token(import, pg) : R_DOWN;
	if (result == R_OK)
		result = add_batch(import, pg, outcomes);
	if (result == R_OK)
		result = keep_results(import, pg, outcomes);
	if (pg)
		pg_pool_give(import->pool, pg);
	return result;
}

/* A database that is slow or away for a moment ends no import. What was added by a try whose answer got lost
 * is answered with "exists". */
static void flush(struct import *import)
{
	enum result result = import->count ? work_off(import) : R_OK;
	for (int i = 1; i < TRIES && (result == R_DOWN || result == R_TIMEOUT); i++)
		result = work_off(import);
	for (int i = 0; i < import->count; i++)
		import_line_fini(&import->batch[i]);
	import->count = 0;
}

static struct import_line *new_line(struct import *import)
{
	struct import_line *line = &import->batch[import->count++];
	*line = (struct import_line){.number = import->lines};
	return line;
}

static bool is_blank(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!strchr(" \t\r", text[i]) || !text[i])
			return false;
	return true;
}

static void end_line(struct import *import)
{
	const char *text = buf_bytes(&import->text);
	size_t size = buf_size(&import->text);
	import->lines++;
	import->full = import->lines > IMPORT_LINES;
	if (import->full)
		import_line_refuse(new_line(import), "too_many_lines", NULL,
		    "an import has 100000 lines at most: send this line and those after it in another one");
	else if (import->overlong)
		import_line_refuse(new_line(import), "too_long", NULL, "a line has 20480 bytes at most");
	else if (!is_blank(text, size))
		import_line_read(new_line(import), import->config, &import->scope, text, size);
	buf_consume(&import->text, size);
	import->overlong = false;
	if (import->count == IMPORT_BATCH)
		flush(import);
}

static void take(struct mhd_stream *stream, const char *bytes, size_t size)
{
	struct import *import = (struct import *)stream;
	while (size && !import->full && !import->error.text[0]) {
		const char *newline = memchr(bytes, '\n', size);
		size_t part = newline ? (size_t)(newline - bytes) : size;
		if (buf_append(&import->text, bytes, part) != R_OK)
			import->overlong = true;
		if (newline)
			end_line(import);
		part += newline != NULL;
		bytes += part;
		size -= part;
	}
}

static void refuse_rest(const struct import *import, struct mhd_reply *reply)
{
	log_warn(
	    "import cut short", log_str("actor", import->scope.actor), log_str("error", import->error.text));
	if (import->revoked) {
		problem_reply(reply, MHD_HTTP_UNAUTHORIZED, "unauthorized", NULL,
		    "The token was revoked or has expired when about %d lines had been read; those before "
		    "were "
		    "added.",
		    import->lines);
		mhd_reply_header(reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
		return;
	}
	problem_reply(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "database_unavailable", NULL,
	    "The database could not be reached when about %d lines had been read. Send all of it again: "
	    "what has been added is then answered with \"exists\".",
	    import->lines);
	mhd_reply_header(reply, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

static void finish(struct mhd_stream *stream, struct mhd_reply *reply)
{
	struct import *import = (struct import *)stream;
	if ((buf_size(&import->text) || import->overlong) && !import->full)
		end_line(import);
	if (!import->error.text[0])
		flush(import);
	if (import->error.text[0]) {
		refuse_rest(import, reply);
		return;
	}
	log_info("domains imported", log_str("actor", import->scope.actor), log_int("lines", import->lines));
	reply->status = MHD_HTTP_OK;
	reply->type = "application/x-ndjson";
	reply->streamed = true;
}

static enum result next_page(struct import *import)
{
	PQclear(import->page);
	import->page = NULL;
	import->row = 0;
	struct pg *pg = pg_pool_take(import->pool, &import->error);
	enum result result = R_DOWN;
	if (pg) {
		result = pg_run(pg, SCOPE_QUERY_MS, &import->page, &import->error,
		    "SELECT line, answer FROM import_results WHERE import = $1 AND line > $2 ORDER BY line "
		    "LIMIT 200",
		    pg_int(import->id), pg_int(import->sent));
		pg_pool_give(import->pool, pg);
	}
	return result;
}

static ssize_t read_results(struct mhd_stream *stream, char *bytes, size_t size)
{
	struct import *import = (struct import *)stream;
	size_t used = 0;
	while (used < size) {
		if (!import->page || import->row == PQntuples(import->page)) {
			if (used || (import->page && !PQntuples(import->page)))
				break;
			if (next_page(import) != R_OK)
				return -1;
			continue;
		}
		const char *answer = pg_get(import->page, import->row, 1) + import->offset;
		size_t left = strlen(answer), part = left < size - used ? left : size - used;
		memcpy(bytes + used, answer, part);
		used += part;
		import->offset += part;
		if (part < left)
			break;
		import->sent = pg_get_int(import->page, import->row++, 0);
		import->offset = 0;
	}
	return (ssize_t)used;
}

static void close_import(struct mhd_stream *stream)
{
	struct import *import = (struct import *)stream;
	struct pg *pg = pg_pool_take(import->pool, NULL);
	if (pg) {
		pg_run(pg, SCOPE_QUERY_MS, NULL, NULL, "DELETE FROM import_results WHERE import = $1",
		    pg_int(import->id));
		pg_pool_give(import->pool, pg);
	}
	for (int i = 0; i < import->count; i++)
		import_line_fini(&import->batch[i]);
	PQclear(import->page);
	buf_fini(&import->text);
	leave(import);
	free(import);
}

/* A number for the results, once those that nobody fetched are gone. */
static enum result take_number(struct api_call *call, int64_t *id, struct error *error)
{
	PGresult *rows = NULL;
	struct pg *pg = pg_pool_take(call->pool, error);
	enum result result = R_DOWN;
	if (pg) {
		result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
		    "WITH old AS (DELETE FROM import_results WHERE made_at < now() - $1::interval)"
		    " SELECT nextval('imports')",
		    pg_text("1 day"));
		pg_pool_give(call->pool, pg);
	}
	*id = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

static struct import *new_import(const struct api_call *call)
{
	struct import *import = mem_alloc(sizeof *import);
	import->stream =
	    (struct mhd_stream){.take = take, .finish = finish, .read = read_results, .close = close_import};
	import->config = call->config;
	import->pool = call->pool;
	import->caller = call->caller;
	import->scope = (struct scope){.tenant = call->scope.tenant ? import->caller.holder.tenant : NULL,
	    .actor = import->caller.actor,
	    .remote = import->caller.remote};
	buf_init(&import->text, IMPORT_LINE_MAX);
	return import;
}

static void refuse_import(struct api_call *call)
{
	problem_reply(call->reply, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_imports", NULL,
	    "%s are under way: wait until one of them is done.",
	    api_call_is_operator(call) ? "Other imports"
				       : "Another import of the tenant, or those of others,");
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "10");
}

bool api_import_open(struct api_call *call, struct mhd_stream **out)
{
	struct error error = {""};
	struct import *import = new_import(call);
	if (!enter(import)) {
		refuse_import(call);
		free(import);
		return false;
	}
	if (take_number(call, &import->id, &error) != R_OK) {
		problem_reply_down(call->reply, &error);
		leave(import);
		free(import);
		return false;
	}
	*out = &import->stream;
	return true;
}
