#include "verifier/http/problem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clean_text.h"
#include "common/log/log.h"

enum { TEXT_MAX = 1024 };

/* Peers' bytes may be in the text, or a character cut in two; what is no UTF-8 would make it no JSON. */
static json_t *json_text(const char *text)
{
	char clean[TEXT_MAX];
	clean_text(clean, sizeof clean, text);
	return json_string(clean);
}

void problem_reply(
    struct mhd_reply *reply, unsigned status, const char *code, const char *field, const char *format, ...)
{
	char detail[TEXT_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	json_t *problem = json_pack("{s:s, s:s, s:i, s:o, s:s}", "type", "about:blank", "title",
	    MHD_get_reason_phrase_for(status), "status", (int)status, "detail", json_text(detail), "code",
	    code);
	if (field)
		json_object_set_new(problem, "field", json_text(field));
	reply->status = status;
	reply->type = "application/problem+json";
	reply->body = json_dumps(problem, JSON_INDENT(2));
	reply->size = reply->body ? strlen(reply->body) : 0;
	json_decref(problem);
}

void problem_reply_down(struct mhd_reply *reply, const struct error *error)
{
	log_warn("request refused", log_str("error", error->text));
	problem_reply(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "database_unavailable", NULL,
	    "The database did not answer. If this was to change something, it may or may not have: try "
	    "again.");
	mhd_reply_header(reply, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}
