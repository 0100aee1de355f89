#include "verifier/claim/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/certificate/barred_key.h"

enum { TEND_MS = 10000 };

static char *names_array(const struct hostname *names, size_t count)
{
	const char **texts = mem_alloc_array(count, sizeof *texts);
	for (size_t i = 0; i < count; i++)
		texts[i] = names[i].text;
	char *array = pg_text_array(texts, count);
	free(texts);
	return array;
}

static void take_rows(struct upload_rows *out, const PGresult *found)
{
	out->count = (size_t)PQntuples(found);
	out->rows = mem_alloc_array(out->count, sizeof *out->rows);
	for (size_t i = 0; i < out->count; i++) {
		const char *tenant = pg_get(found, (int)i, 1);
		snprintf(
		    out->rows[i].name.text, sizeof out->rows[i].name.text, "%s", pg_get(found, (int)i, 0));
		snprintf(out->rows[i].tenant, sizeof out->rows[i].tenant, "%s", tenant ? tenant : "");
		out->version = pg_get_int(found, (int)i, 2);
	}
}

enum result upload_find_rows(struct pg *pg, const struct scope *scope, const char *tenant,
    const struct hostname *names, size_t count, bool asked, struct upload_rows *out, struct error *error)
{
	PGresult *found = NULL;
	char *array = names_array(names, count);
	*out = (struct upload_rows){.rows = NULL};
	enum result result = scope_run(pg, scope, &found, error,
	    "SELECT name, tenant, (SELECT upload_version()) FROM upload_names(" SCOPE_TENANT
	    ", $2, $3, $4::boolean) LIMIT $5::integer",
	    pg_text(tenant), pg_text(array), pg_text(asked ? "t" : "f"), pg_int(UPLOAD_ROWS_MAX + 1));
	free(array);
	if (result == R_OK && PQntuples(found) > UPLOAD_ROWS_MAX)
		result = R_LIMIT;
	else if (result == R_OK)
		take_rows(out, found);
	PQclear(found);
	return result;
}

void upload_rows_fini(struct upload_rows *rows)
{
	free(rows->rows);
	*rows = (struct upload_rows){.rows = NULL};
}

static char *hex_of(const struct buf *bytes)
{
	const unsigned char *at = (const unsigned char *)buf_bytes(bytes);
	size_t size = buf_size(bytes);
	char *hex = mem_alloc(2 * size + 1);
	for (size_t i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", at[i]);
	return hex;
}

/* What upload_store takes an array of, a row's each. */
enum { NAMES, TENANTS, SEALED, ARRAYS };

static enum result seal_rows(const struct own_certificate *own, const struct seal_keys *seal,
    const struct upload_rows *rows, char **sealed, struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; result == R_OK && i < rows->count; i++) {
		struct buf blob;
		buf_init(&blob, SEAL_PLAINTEXT_MAX + SEAL_OVERHEAD);
		result =
		    own_certificate_seal(own, seal, rows->rows[i].name.text, rows->version, &blob, error);
		sealed[i] = hex_of(&blob);
		buf_fini(&blob);
	}
	return result;
}

static void make_arrays(const struct upload_rows *rows, char *const *sealed, char *arrays[ARRAYS])
{
	const char **texts = mem_alloc_array(rows->count, sizeof *texts);
	for (int column = 0; column < ARRAYS; column++) {
		for (size_t i = 0; i < rows->count; i++)
			texts[i] = column == NAMES     ? rows->rows[i].name.text
				   : column == TENANTS ? rows->rows[i].tenant
						       : sealed[i];
		arrays[column] = pg_text_array(texts, rows->count);
	}
	free(texts);
}

/* `words` in the order of the enum. */
static enum result read_outcome(
    const PGresult *rows, const char *const *words, int count, int *outcome, struct error *error)
{
	const char *word = pg_get(rows, 0, 0);
	for (*outcome = 0; *outcome < count; ++*outcome)
		if (word && strcmp(word, words[*outcome]) == 0)
			return R_OK;
	error_set(error, "the database answered with what is not known here");
	return R_ERROR;
}

/* What the database refused because another one was faster. */
static bool is_late(struct pg *pg, enum result result)
{
	return result == R_ERROR && strcmp(pg_sqlstate(pg), "40001") == 0;
}

static enum result store(struct pg *pg, const struct scope *scope, const struct own_certificate *own,
    const struct seal_keys *seal, int64_t version, char *const arrays[ARRAYS], enum upload_stored *stored,
    struct error *error)
{
	static const char *const words[] = {[UPLOAD_ADDED] = "added",
	    [UPLOAD_REPLACED] = "replaced",
	    [UPLOAD_BARRED] = "barred",
	    [UPLOAD_LOST] = "lost"};
	const struct certificate *certificate = &own->certificate;
	unsigned char digest[BARRED_KEY_DIGEST];
	PGresult *rows = NULL;
	int outcome = UPLOAD_LATE;
	struct buf pem;
	buf_init(&pem, CERTIFICATE_PEM_MAX);
	enum result result = barred_key_digest(digest, own->key, error);
	if (result == R_OK)
		result = certificate_to_pem(certificate, &pem);
	if (result == R_OK)
		result = scope_run(pg, scope, &rows, error,
		    "SELECT upload_store(" SCOPE_TENANT
		    ", $2, $3, $4, $5, $6, $7::bigint, $8, $9, $10, $11, $12, $13::bigint, $14::bigint)",
		    pg_text(scope->actor), pg_text(scope->remote), pg_text(arrays[NAMES]),
		    pg_text(arrays[TENANTS]), pg_text(arrays[SEALED]), pg_int(version),
		    pg_text(seal_keys_id(seal)), pg_bytea(digest, sizeof digest), pg_text(buf_string(&pem)),
		    pg_text(certificate->issuer), pg_text(certificate->serial),
		    pg_int(certificate->not_before), pg_int(certificate->not_after));
	if (result == R_OK)
		result = read_outcome(rows, words, sizeof words / sizeof *words, &outcome, error);
	else if (is_late(pg, result))
		result = R_OK;
	*stored = (enum upload_stored)outcome;
	PQclear(rows);
	buf_fini(&pem);
	return result;
}

enum result upload_store(struct pg *pg, const struct scope *scope, const struct own_certificate *own,
    const struct seal_keys *seal, const struct upload_rows *rows, enum upload_stored *stored,
    struct error *error)
{
	char **sealed = mem_alloc_array(rows->count, sizeof *sealed);
	char *arrays[ARRAYS] = {NULL};
	enum result result = seal_rows(own, seal, rows, sealed, error);
	if (result == R_OK) {
		make_arrays(rows, sealed, arrays);
		result = store(pg, scope, own, seal, rows->version, arrays, stored, error);
	}
	for (int i = 0; i < ARRAYS; i++)
		free(arrays[i]);
	for (size_t i = 0; i < rows->count; i++)
		free(sealed[i]);
	free(sealed);
	return result;
}

enum result upload_remove(struct pg *pg, const struct scope *scope, const char *name, const char *version,
    bool at_once, enum upload_removed *removed, struct error *error)
{
	static const char *const words[] = {[UPLOAD_NONE] = "none",
	    [UPLOAD_ISSUED] = "issued",
	    [UPLOAD_REMOVED] = "removed",
	    [UPLOAD_REPLACING] = "replacing"};
	PGresult *rows = NULL;
	int outcome = UPLOAD_CHANGED;
	enum result result = scope_run(pg, scope, &rows, error,
	    "SELECT upload_remove(" SCOPE_TENANT ", $2, $3, $4, $5::bigint, $6::boolean)",
	    pg_text(scope->actor), pg_text(scope->remote), pg_text(name), pg_text(version),
	    pg_text(at_once ? "t" : "f"));
	if (result == R_OK)
		result = read_outcome(rows, words, sizeof words / sizeof *words, &outcome, error);
	else if (is_late(pg, result))
		result = R_OK;
	*removed = (enum upload_removed)outcome;
	PQclear(rows);
	return result;
}

enum result upload_tend(struct pg *pg, int *warned, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, TEND_MS, &rows, error, "SELECT upload_tend()", NULL, 0);
	*warned = result == R_OK ? (int)pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}
