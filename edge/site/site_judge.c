#include "edge/site/site_judge.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "edge/loop/log_rate.h"
#include "edge/site/site_options.h"

struct site_judge {
	const struct seal_keys *keys;
	OSSL_LIB_CTX *libctx; /* of this thread: OpenSSL's default one is shared and its locks with it */
	struct metric *unusable_rows;
};

struct site_judge *site_judge_new(const struct seal_keys *keys)
{
	struct site_judge *judge = mem_alloc(sizeof *judge);

	judge->keys = keys;
	judge->libctx = OSSL_LIB_CTX_new();
	judge->unusable_rows = metrics_counter("postern_edge_unusable_rows_total", NULL,
	    "Certificate rows read that could not be served: damaged, for another name or key, expired.");
	return judge;
}

void site_judge_free(struct site_judge *judge)
{
	if (!judge)
		return;
	OSSL_LIB_CTX_free(judge->libctx);
	free(judge);
}

static struct site *make_site(const struct site_raw *raw, struct certificate *certificate,
    const struct buf *key, const struct domain_options *options)
{
	struct hostname name = {""};

	snprintf(name.text, sizeof name.text, "%s", raw->name);
	struct site *site =
	    site_new(&name, raw->stamp, certificate, buf_bytes(key), buf_size(key), raw->tenant, options);
	site->borrowed = raw->certificate && strcmp(raw->name, raw->certificate) != 0;
	return site;
}

static struct site *make_passed_site(const struct site_raw *raw, const struct domain_options *options)
{
	struct certificate none = {.not_after = INT64_MAX};
	struct buf no_key;

	buf_init(&no_key, 0);
	return make_site(raw, &none, &no_key, options);
}

static enum result open_row(struct site_judge *judge, const struct site_raw *raw,
    const struct domain_options *options, struct site **out, struct error *error)
{
	const struct seal_place place = {
	    .kind = "certificate_key", .name = raw->certificate, .version = raw->stamp.version};
	struct certificate certificate = {0};
	EVP_PKEY *key = NULL;
	struct buf plain;
	enum result result = R_INVALID;

	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	result = seal_open(judge->keys, &place, raw->sealed, raw->sealed_size, &plain, error);
	if (result != R_OK)
		goto out;
	result = certificate_key_import(&key, buf_bytes(&plain), buf_size(&plain), judge->libctx, error);
	if (result != R_OK)
		goto out;
	result = certificate_parse(&certificate, raw->pem, strlen(raw->pem), key, raw->name,
	    clock_wall_ms() / 1000, judge->libctx, error);
	if (result != R_OK)
		goto out;
	*out = make_site(raw, &certificate, &plain, options);
out:
	EVP_PKEY_free(key);
	buf_wipe(&plain);
	return result;
}

static struct site *judge_certificate(
    struct site_judge *judge, const struct site_raw *raw, const struct domain_options *options)
{
	static struct log_rate rate;
	struct error error = {{0}};
	struct site *site = NULL;

	if (raw->sealed && open_row(judge, raw, options, &site, &error) == R_OK)
		return site;
	metric_add(judge->unusable_rows, 1);
	if (log_rate_allows(&rate))
		log_error("stored certificate cannot be served", log_str("name", raw->name),
		    log_str("certificate", raw->certificate), log_int("version", raw->stamp.version),
		    log_str("error", error.text));
	return NULL;
}

struct site *site_judge_row(struct site_judge *judge, const struct site_raw *raw)
{
	struct domain_options options;
	struct site *site = NULL;

	site_options_read(&options, raw->options, raw->redirect_leads, raw->name);
	if (options.passthrough)
		site = make_passed_site(raw, &options);
	else if (raw->certificate)
		site = judge_certificate(judge, raw, &options);
	domain_options_fini(&options);
	return site;
}
