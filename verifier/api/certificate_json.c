#include "verifier/api/certificate_json.h"

#include "verifier/api/api_call.h"
#include "verifier/claim/stored_certificate.h"

enum { NOT_AFTER = 6, DAYS_LEFT = 11, IS_WARNED };

/* Nobody but its owner renews what was uploaded. */
static json_t *warning_json(const PGresult *rows, int row)
{
	if (!pg_get_bool(rows, row, IS_WARNED))
		return json_null();
	return json_sprintf(
	    pg_get_int(rows, row, DAYS_LEFT) < 0
		? "It expired at %s: upload its successor, or delete it."
		: "It expires at %s, and nobody renews what was uploaded: upload its successor.",
	    pg_get(rows, row, NOT_AFTER));
}

json_t *certificate_json(const PGresult *rows, int row, bool with_chain)
{
	static const char *const columns[] = {"name", "tenant", "source", "issuer", "serial", "not_before",
	    "not_after", "renew_at", "stored_at", "revoked_at", "removed_at"};
	json_t *certificate = json_object();
	for (int i = 0; i < (int)(sizeof columns / sizeof *columns); i++)
		api_set_text(certificate, columns[i], pg_get(rows, row, i));
	api_set_number(certificate, "days_left", pg_get(rows, row, DAYS_LEFT));
	json_object_set_new(certificate, "warning", warning_json(rows, row));
	if (with_chain)
		api_set_text(certificate, "chain", pg_get(rows, row, STORED_CHAIN));
	return certificate;
}
