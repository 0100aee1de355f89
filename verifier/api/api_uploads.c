/*
 * The API's uploads: a certificate of the tenant's own is checked, its key sealed, and both stored for the
 * names that are theirs. The key is in the request's memory alone, which is wiped.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/certificate_json.h"
#include "verifier/claim/name_rules.h"
#include "verifier/claim/stored_certificate.h"
#include "verifier/claim/upload.h"
#include "verifier/http/problem.h"

/* An encrypted key takes up to half a second to open: one at a time, and who has waited so long comes again.
 */
enum { NAMES_MAX = 100, TRIES = 3, OPENING_WAIT_S = 5 };
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

struct upload {
	struct own_certificate own;
	const char *tenant;     /* whose names alone; NULL: any within the scope */
	struct hostname *names; /* of the certificate */
	size_t name_count;
	struct hostname *asked; /* NULL: all that are theirs */
	size_t asked_count;
	struct upload_rows rows;
	struct error error;
};

static void upload_fini(struct upload *upload)
{
	own_certificate_fini(&upload->own);
	free(upload->names);
	free(upload->asked);
	upload_rows_fini(&upload->rows);
}

/* ---- what was sent ---- */

static bool read_pem(struct api_call *call, const char *field, const char **text, size_t *size)
{
	if (!api_call_text(call, field, MHD_BODY_MAX, text))
		return false;
	*size = *text ? strlen(*text) : 0;
	if (*size)
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_field", field,
	    "%s: is missing: send {\"chain\": PEM, \"key\": PEM}.", field);
	return false;
}

static void refuse_own(struct api_call *call, const struct upload *upload, enum result result)
{
	static const char *const fields[] = {
	    [OWN_CHAIN] = "chain", [OWN_KEY] = "key", [OWN_PASSPHRASE] = "passphrase"};
	const char *field = fields[upload->own.wrong];
	const char *code = result == R_NONE                 ? "passphrase_needed"
			   : result == R_DENIED             ? "wrong_passphrase"
			   : upload->own.wrong == OWN_CHAIN ? "invalid_chain"
							    : "invalid_key";
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, code, field, "%s: %s.", field, upload->error.text);
}

static enum result open_text(struct upload *upload, const struct own_certificate_text *text)
{
	struct timespec until;
	if (!text->passphrase)
		return own_certificate_read(&upload->own, text, NULL, time(NULL), &upload->error);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += OPENING_WAIT_S;
	if (pthread_mutex_clocklock(&opening, CLOCK_MONOTONIC, &until) != 0)
		return R_AGAIN;
	enum result result = own_certificate_read(&upload->own, text, NULL, time(NULL), &upload->error);
	pthread_mutex_unlock(&opening);
	return result;
}

static bool read_own(struct api_call *call, struct upload *upload)
{
	struct own_certificate_text text = {.chain = NULL};
	if (!read_pem(call, "chain", &text.chain, &text.chain_size) ||
	    !read_pem(call, "key", &text.key, &text.key_size) ||
	    !api_call_text(call, "passphrase", PRIVATE_KEY_PASSPHRASE_MAX, &text.passphrase))
		return false;
	enum result result = open_text(upload, &text);
	if (result == R_AGAIN) {
		problem_reply(call->reply, MHD_HTTP_TOO_MANY_REQUESTS, "busy", NULL,
		    "Too many encrypted keys are being opened: come again in a few seconds.");
		mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	} else if (result != R_OK) {
		refuse_own(call, upload, result);
	}
	return result == R_OK;
}

static bool check_chain(struct api_call *call, struct upload *upload)
{
	char wanted[256];
	upload->name_count = certificate_names(&upload->own.certificate, &upload->names);
	if (!upload->name_count)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_chain", "chain",
		    "chain: the certificate is for no host name: names belong into its subjectAltName.");
	else if (certificate_is_complete(&upload->own.certificate, wanted, sizeof wanted))
		return true;
	else
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "chain_incomplete", "chain",
		    "chain: it leads to no root that is known here, so visitors could not trust it: add the "
		    "certificate of %s, which your CA gives out as its intermediate or bundle.",
		    wanted);
	return false;
}

/* Is it among the certificate's names, or under a wildcard of theirs? */
static bool is_covered(const struct upload *upload, const char *name)
{
	struct hostname wildcard;
	bool has_wildcard = hostname_wildcard(&wildcard, name);
	for (size_t i = 0; i < upload->name_count; i++)
		if (!strcmp(upload->names[i].text, name) ||
		    (has_wildcard && !strcmp(upload->names[i].text, wildcard.text)))
			return true;
	return false;
}

static bool read_name(struct api_call *call, struct upload *upload, const json_t *value)
{
	struct name_verdict verdict;
	const char *text = json_string_value(value);
	if (!text || strlen(text) != json_string_length(value) || !name_rules_read(text, &verdict))
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_name", "names",
		    "names: must be host names, as in [\"shop.example.com\"].");
	else if (!is_covered(upload, verdict.name.text))
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "name_not_covered", "names",
		    "names: the certificate is not for %s.", verdict.name.text);
	else {
		upload->asked[upload->asked_count++] = verdict.name;
		return true;
	}
	return false;
}

static bool read_names(struct api_call *call, struct upload *upload)
{
	const json_t *names = json_object_get(call->body, "names");
	size_t count = json_array_size(names);
	if (!names || json_is_null(names))
		return true;
	if (!json_is_array(names) || count < 1 || count > NAMES_MAX) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_field", "names",
		    "names: must be a list of 1 to %d host names; leave it out for all that are yours.",
		    NAMES_MAX);
		return false;
	}
	upload->asked = mem_alloc_array(count, sizeof *upload->asked);
	for (size_t i = 0; i < count; i++)
		if (!read_name(call, upload, json_array_get(names, i)))
			return false;
	return true;
}

static bool read_tenant(struct api_call *call, struct upload *upload)
{
	return api_call_text(call, "tenant", TENANT_MAX, &upload->tenant) &&
	       (!upload->tenant || api_call_is_tenant(call, upload->tenant));
}

static bool read_upload(struct api_call *call, struct upload *upload)
{
	return api_call_can_seal(call) && read_tenant(call, upload) && read_own(call, upload) &&
	       check_chain(call, upload) && read_names(call, upload);
}

/* ---- whose names they are ---- */

static const struct upload_row *row_of(const struct upload *upload, const char *name)
{
	for (size_t i = 0; i < upload->rows.count; i++)
		if (!strcmp(upload->rows.rows[i].name.text, name))
			return &upload->rows.rows[i];
	return NULL;
}

/* One answer for names that nobody has and for those of another tenant, which are none of the asker's
 * business. */
static void refuse_name(struct api_call *call, const char *name, size_t others)
{
	char more[40] = "";
	if (others)
		snprintf(more, sizeof more, " (and %zu more)", others);
	problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "name_not_yours", call->scope.tenant ? NULL : "names",
	    call->scope.tenant ? "%s%s is no domain that you have proven: add it, publish its TXT record, "
				 "and verify it first."
			       : "%s%s is nobody's proven domain (of the tenant, where one is said): add and "
				 "verify it first, or "
				 "name in `names` what is to be served all the same.",
	    name, more);
}

static bool check_rows(struct api_call *call, const struct upload *upload)
{
	if (!upload->rows.count) {
		refuse_name(call, upload->asked ? upload->asked[0].text : upload->names[0].text,
		    (upload->asked ? upload->asked_count : upload->name_count) - 1);
		return false;
	}
	for (size_t i = 0; i < upload->asked_count; i++) {
		if (row_of(upload, upload->asked[i].text))
			continue;
		refuse_name(call, upload->asked[i].text, 0);
		return false;
	}
	return true;
}

static bool find_rows(struct api_call *call, struct upload *upload, struct pg *pg)
{
	bool asked = upload->asked;
	upload_rows_fini(&upload->rows);
	enum result result =
	    upload_find_rows(pg, &call->scope, upload->tenant, asked ? upload->asked : upload->names,
		asked ? upload->asked_count : upload->name_count, asked, &upload->rows, &upload->error);
	if (result == R_OK)
		return check_rows(call, upload);
	if (result == R_LIMIT)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "too_many_names", "names",
		    "The certificate is for more than %d domains: add and verify the name that its wildcard "
		    "stands "
		    "under, so that it can be kept for all of them, or say in `names` which are meant.",
		    UPLOAD_ROWS_MAX);
	else
		problem_reply_down(call->reply, &upload->error);
	return false;
}

/* ---- what becomes of it ---- */

static bool is_under(const struct upload_row *row, const char *wildcard)
{
	struct hostname above;
	return hostname_wildcard(&above, row->name.text) && !strcmp(above.text, wildcard);
}

/* Names of the certificate that nothing is served by it for. */
static json_t *left_out_json(const struct upload *upload)
{
	json_t *list = json_array();
	for (size_t i = 0; i < upload->name_count; i++) {
		bool kept = row_of(upload, upload->names[i].text);
		for (size_t j = 0; !kept && j < upload->rows.count; j++)
			kept = is_under(&upload->rows.rows[j], upload->names[i].text);
		if (!kept)
			json_array_append_new(list, json_string(upload->names[i].text));
	}
	return list;
}

static void reply_stored(struct api_call *call, const struct upload *upload, struct pg *pg, bool added)
{
	const char *texts[UPLOAD_ROWS_MAX];
	struct error error = {""};
	PGresult *rows = NULL;
	for (size_t i = 0; i < upload->rows.count; i++)
		texts[i] = upload->rows.rows[i].name.text;
	char *names = pg_text_array(texts, upload->rows.count);
	const struct stored_filter filter = {.after = "", .days = -1, .names = names};
	enum result result =
	    stored_certificate_list(pg, &call->scope, &filter, UPLOAD_ROWS_MAX, &rows, &error);
	json_t *list = json_array();
	for (int i = 0; result == R_OK && i < PQntuples(rows); i++)
		json_array_append_new(list, certificate_json(rows, i, false));
	if (result == R_OK) {
		api_call_json(call, added ? MHD_HTTP_CREATED : MHD_HTTP_OK,
		    json_pack("{s:O, s:o}", "certificates", list, "left_out", left_out_json(upload)));
		mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/certificates/%s", texts[0]);
	} else {
		problem_reply_down(call->reply, &error);
	}
	json_decref(list);
	PQclear(rows);
	free(names);
}

static void reply_outcome(
    struct api_call *call, const struct upload *upload, struct pg *pg, enum upload_stored stored)
{
	if (stored == UPLOAD_ADDED || stored == UPLOAD_REPLACED) {
		log_info("certificate uploaded", log_str("name", upload->rows.rows[0].name.text),
		    log_int("names", (int64_t)upload->rows.count), log_str("by", call->caller.actor),
		    log_str("serial", upload->own.certificate.serial));
		reply_stored(call, upload, pg, stored == UPLOAD_ADDED);
	} else if (stored == UPLOAD_BARRED) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "barred_key", "key",
		    "key: a certificate with this key was revoked because others know the key: make a new "
		    "key, and "
		    "have a certificate issued for it.");
	} else {
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "changed_meanwhile", NULL,
		    "Another certificate was stored for this name at the same time: look at it, and send "
		    "yours again "
		    "if it is the newer one.");
	}
}

/* Whose the names are may change between the two statements, and so may what is stored: then both again. */
static void store(struct api_call *call, struct upload *upload, struct pg *pg)
{
	enum upload_stored stored = UPLOAD_LATE;
	for (int i = 0; i < TRIES && (stored == UPLOAD_LATE || stored == UPLOAD_LOST); i++) {
		if (!find_rows(call, upload, pg))
			return;
		if (upload_store(pg, &call->scope, &upload->own, call->config->seal_keys, &upload->rows,
			&stored, &upload->error) != R_OK) {
			problem_reply_down(call->reply, &upload->error);
			return;
		}
	}
	reply_outcome(call, upload, pg, stored);
}

void api_certificates_upload(struct api_call *call)
{
	struct upload upload = {.tenant = NULL};
	struct pg *pg = read_upload(call, &upload) ? api_call_database(call) : NULL;
	if (pg) {
		store(call, &upload, pg);
		pg_pool_give(call->pool, pg);
	}
	upload_fini(&upload);
}
