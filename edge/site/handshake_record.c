#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edge/site/handshakes_internal.h"

bool handshake_cause_is_ours(const char *cause)
{
	static const char *const causes[] = {"suspended", "failed", "issuance", "issue_deadline",
	    "unusable_certificate", "protocol_version", "address", "passthrough_option",
	    "passthrough_circle"};

	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (strcmp(cause, causes[i]) == 0)
			return true;
	return false;
}

/* Its place becomes the first; the last one makes room where there is none. */
static struct handshake_cause *take_first(struct handshake_record *record, const char *cause)
{
	struct handshake_cause found = {.cause = cause};
	size_t at = 0;

	while (at < HANDSHAKE_CAUSES - 1 && record->causes[at].cause &&
	       strcmp(record->causes[at].cause, cause) != 0)
		at++;
	if (record->causes[at].cause && strcmp(record->causes[at].cause, cause) == 0)
		found = record->causes[at];
	memmove(&record->causes[1], &record->causes[0], at * sizeof *record->causes);
	record->causes[0] = found;
	return &record->causes[0];
}

void handshake_record_refuse(
    struct handshake_record *record, const struct handshake_refusal *refusal, int64_t now_ms)
{
	struct handshake_cause *cause = take_first(record, refusal->cause);

	cause->count++;
	cause->last_ms = now_ms;
	cause->alert = (int16_t)refusal->alert;
}

static void add_cause(struct handshake_record *all, const struct handshake_cause *other)
{
	struct handshake_cause *cause = take_first(all, other->cause);

	cause->count += other->count;
	if (other->last_ms < cause->last_ms)
		return;
	cause->last_ms = other->last_ms;
	cause->alert = other->alert;
}

void handshake_record_add(struct handshake_record *all, const struct handshake_record *other)
{
	for (size_t i = 0; i < HANDSHAKE_ENDS; i++)
		all->ends[i] += other->ends[i];
	if (other->last_ms > all->last_ms)
		all->last_ms = other->last_ms;
	for (size_t i = HANDSHAKE_CAUSES; i > 0; i--)
		if (other->causes[i - 1].cause)
			add_cause(all, &other->causes[i - 1]);
}

/* The second in which it was, whenever it is told. */
static json_t *time_json(int64_t then_ms, int64_t wall_ms, int64_t now_ms)
{
	char text[32];
	struct tm parts;
	time_t then = (time_t)((wall_ms - (now_ms - then_ms)) / 1000);

	if (then_ms == 0)
		return json_null();
	gmtime_r(&then, &parts);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_string(text);
}

static int by_time(const void *a, const void *b)
{
	const struct handshake_cause *left = a, *right = b;

	return (left->last_ms < right->last_ms) - (left->last_ms > right->last_ms);
}

char *handshake_record_json(const struct handshake_record *record, int64_t wall_ms, int64_t now_ms)
{
	struct handshake_record sorted = *record;
	json_t *refusals = json_array();

	qsort(sorted.causes, HANDSHAKE_CAUSES, sizeof *sorted.causes, by_time);
	for (size_t i = 0; i < HANDSHAKE_CAUSES && sorted.causes[i].cause; i++) {
		const struct handshake_cause *cause = &sorted.causes[i];
		json_array_append_new(refusals,
		    json_pack("{s:s, s:o, s:I, s:o}", "cause", cause->cause, "alert",
			cause->alert >= 0 ? json_integer(cause->alert) : json_null(), "count",
			(json_int_t)cause->count, "last_at", time_json(cause->last_ms, wall_ms, now_ms)));
	}
	json_t *object = json_pack("{s:I, s:I, s:I, s:o, s:o}", "full",
	    (json_int_t)record->ends[HANDSHAKE_FULL], "resumed", (json_int_t)record->ends[HANDSHAKE_RESUMED],
	    "passed", (json_int_t)record->ends[HANDSHAKE_PASSED], "last_at",
	    time_json(record->last_ms, wall_ms, now_ms), "refusals", refusals);
	char *text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}
