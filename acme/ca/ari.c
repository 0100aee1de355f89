#include "acme/ca/ari.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/ca/acme_json.h"
#include "acme/ca/jws.h"

enum { PART_MAX = 64, YEAR_MAX = 9999 };

/* The DER content of the serial, its leading 00 included: what follows tag and length, which are two bytes
 * for whatever a serial may be. */
static enum result append_serial(struct buf *out, const X509 *certificate)
{
	unsigned char der[2 + PART_MAX];
	unsigned char *at = der;
	int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), NULL);
	if (size < 3 || size > (int)sizeof der)
		return R_INVALID;
	i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), &at);
	return base64url_encode(out, der + 2, (size_t)size - 2);
}

enum result ari_cert_id(char out[ARI_CERT_ID_SIZE], const char *pem, struct error *error)
{
	enum result result = R_INVALID;
	struct buf text;
	buf_init(&text, ARI_CERT_ID_SIZE - 1);
	BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	const ASN1_OCTET_STRING *issuer = certificate ? X509_get0_authority_key_id(certificate) : NULL;
	if (!issuer || ASN1_STRING_length(issuer) < 1 || ASN1_STRING_length(issuer) > PART_MAX) {
		error_set(error, "the certificate does not name its issuer's key");
		goto out;
	}
	result = base64url_encode(&text, ASN1_STRING_get0_data(issuer), (size_t)ASN1_STRING_length(issuer));
	if (result == R_OK)
		result = buf_append_string(&text, ".");
	if (result == R_OK)
		result = append_serial(&text, certificate);
	if (result == R_OK)
		snprintf(out, ARI_CERT_ID_SIZE, "%s", buf_string(&text));
	else
		error_set(error, "the certificate's serial is too long");
out:
	X509_free(certificate);
	BIO_free(bio);
	buf_fini(&text);
	return result;
}

/* RFC 3339: 2026-11-23T04:00:00Z, with or without fractions, or with an offset. */
static enum result read_time(int64_t *out, const char *text)
{
	struct tm tm = {.tm_isdst = 0};
	const char *at = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (!at || tm.tm_year + 1900 > YEAR_MAX)
		return R_INVALID;
	if (*at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	int64_t offset = 0;
	int hours = 0;
	int minutes = 0;
	char sign = *at;
	if (sign == '+' || sign == '-') {
		if (strlen(at) != 6 || sscanf(at + 1, "%2d:%2d", &hours, &minutes) != 2)
			return R_INVALID;
		offset = (hours * 60 + minutes) * 60;
	} else if (strcmp(at, "Z") != 0 && strcmp(at, "z") != 0)
		return R_INVALID;
	*out = (int64_t)timegm(&tm) - (sign == '-' ? -offset : offset);
	return R_OK;
}

enum result ari_read(
    struct ari_plan *plan, const char *json, size_t size, uint32_t random, struct error *error)
{
	int64_t start = 0;
	int64_t end = 0;
	json_t *root = acme_json_object("renewalInfo", json, size, error);
	if (!root)
		return R_INVALID;
	const json_t *window = json_object_get(root, "suggestedWindow");
	enum result result = read_time(&start, json_string_value(json_object_get(window, "start")));
	if (result == R_OK)
		result = read_time(&end, json_string_value(json_object_get(window, "end")));
	char explanation[ACME_URL_SIZE];
	if (acme_json_url(explanation, "renewalInfo", "explanationURL",
		json_object_get(root, "explanationURL"), NULL) != R_OK)
		explanation[0] = '\0';
	json_decref(root);
	if (result != R_OK || end <= start) {
		error_set(error, result == R_OK ? "renewalInfo: the window ends before it starts"
						: "renewalInfo: there is no window of two times");
		return R_INVALID;
	}
	snprintf(plan->explanation, sizeof plan->explanation, "%s", explanation);
	if (plan->start == start && plan->end == end && plan->selected != 0)
		return R_OK;
	int64_t into = (int64_t)((double)random / ((double)UINT32_MAX + 1) * (double)(end - start));
	plan->start = start;
	plan->end = end;
	plan->selected = start + into;
	return R_OK;
}

int64_t ari_ask_again_s(int64_t retry_after)
{
	if (retry_after < 0)
		return ARI_ASK_S;
	if (retry_after < ARI_ASK_MIN_S)
		return ARI_ASK_MIN_S;
	return retry_after < ARI_ASK_MAX_S ? retry_after : ARI_ASK_MAX_S;
}
