#include "edge/upstream/upstream_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/certificate/certificate.h"

static enum result load_urls(
    struct upstream_config *config, const struct settings *settings, struct error *error)
{
	size_t count = settings_count(settings, "upstream");

	if (count > UPSTREAM_URLS_MAX) {
		error_set(error, "upstream: more than %d values", UPSTREAM_URLS_MAX);
		return R_LIMIT;
	}
	for (; config->url_count < count; config->url_count++) {
		const char *text = settings_string_at(settings, "upstream", config->url_count);

		if (upstream_url_parse(&config->urls[config->url_count], text, error) != R_OK) {
			error_prefix(error, "upstream");
			return R_INVALID;
		}
	}
	return R_OK;
}

/* The file's bytes as a string, NULL where the setting is not set. */
static enum result load_file(char **out, size_t *size, const struct settings *settings, const char *name,
    size_t max, struct error *error)
{
	const char *path = settings_string(settings, name);
	struct buf bytes;

	if (!path)
		return R_OK;
	buf_init(&bytes, max);
	enum result result = file_read(path, &bytes, error);
	if (result == R_OK) {
		*size = buf_size(&bytes);
		*out = mem_copy(buf_bytes(&bytes), *size);
	} else {
		error_prefix(error, "%s", name);
	}
	buf_fini(&bytes);
	return result;
}

/* The workers read it again, each into its own library context. */
static enum result check_ca(const struct upstream_config *config, struct error *error)
{
	enum result result = config->ca ? certificate_check_bundle(config->ca, config->ca_size, error) : R_OK;

	if (result != R_OK)
		error_prefix(error, "upstream-ca");
	return result;
}

static enum result load_health(
    struct upstream_config *config, const struct settings *settings, struct error *error)
{
	const char *path = settings_string(settings, "upstream-health");

	if (!path)
		return R_OK;
	for (const char *c = path; *c; c++) {
		if (path[0] == '/' && *c > ' ' && *c < 0x7f && c - path < UPSTREAM_PATH_MAX)
			continue;
		error_set(error, "upstream-health: `%s` is no path: write /healthz or the like", path);
		return R_INVALID;
	}
	config->health_path = mem_string(path);
	return R_OK;
}

static enum result load_server_name(
    struct upstream_config *config, const struct settings *settings, struct error *error)
{
	const char *name = settings_string(settings, "upstream-sni");
	struct upstream_url url;
	char text[UPSTREAM_URL_MAX + 1];

	if (!name)
		return R_OK;
	int size = snprintf(text, sizeof text, "https://%s", name);
	if (size >= (int)sizeof text || upstream_url_parse(&url, text, NULL) != R_OK ||
	    strcmp(url.host, name) != 0) {
		error_set(error, "upstream-sni: `%s` is no host name", name);
		return R_INVALID;
	}
	config->server_name = mem_string(name);
	return R_OK;
}

static void load_plain(struct upstream_config *config, const struct settings *settings)
{
	config->proxy_v2 = strcmp(settings_string(settings, "upstream-proxy-protocol"), "v2") == 0;
	config->http2 = settings_switch(settings, "upstream-http2");
	config->connect_ms = settings_number(settings, "upstream-connect-timeout");
	config->first_byte_ms = settings_number(settings, "upstream-timeout");
	config->idle_ms = settings_number(settings, "upstream-idle-timeout");
	config->resolve_ms = settings_number(settings, "upstream-resolve");
	config->slow_start_ms = settings_number(settings, "upstream-slow-start");
	config->health_ms = settings_number(settings, "upstream-health-interval");
}

enum result upstream_config_load(
    struct upstream_config **out, const struct settings *settings, struct error *error)
{
	struct upstream_config *config = mem_alloc(sizeof *config);

	atomic_init(&config->references, 1);
	load_plain(config, settings);
	enum result result = load_urls(config, settings, error);
	if (result == R_OK)
		result = load_server_name(config, settings, error);
	if (result == R_OK)
		result = load_health(config, settings, error);
	if (result == R_OK)
		result =
		    load_file(&config->ca, &config->ca_size, settings, "upstream-ca", UPSTREAM_CA_MAX, error);
	if (result == R_OK)
		result = check_ca(config, error);
	if (result == R_OK)
		*out = config;
	else
		upstream_config_unref(config);
	return result;
}

struct upstream_config *upstream_config_ref(struct upstream_config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void upstream_config_unref(struct upstream_config *config)
{
	if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1)
		return;
	free(config->server_name);
	free(config->ca);
	free(config->health_path);
	free(config);
}
