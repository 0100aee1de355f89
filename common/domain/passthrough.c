#include "common/domain/passthrough.h"

#include <stdlib.h>
#include <string.h>

#include "common/net/net.h"

static const char white[] = " \t";

static enum result refuse(struct error *error, const char *word, const char *mend)
{
	error_set(error, "`%s`: %s", word, mend);
	return R_INVALID;
}

/* The port is part of it: there is no usual one, and 0 is one to listen on. */
static bool is_server(const char *word)
{
	return word[0] != ':' && strlen(word) <= PASSTHROUGH_SERVER_MAX &&
	       net_check_address(word, NULL) == R_OK && strtoul(strrchr(word, ':') + 1, NULL, 10) > 0;
}

static enum result add_server(struct passthrough *out, const char *word, struct error *error)
{
	if (out->count == PASSTHROUGH_SERVERS_MAX)
		return refuse(error, word, "one server too many; 16 is the most");
	if (!is_server(word))
		return refuse(error, word, "no server; write host:port, [v6]:port or an option=value");
	strcpy(out->servers[out->count++], word);
	return R_OK;
}

/* ---- options */

static bool read_switch(const char *value, const char *on, bool *out)
{
	*out = strcmp(value, on) == 0;
	return *out || strcmp(value, "off") == 0;
}

static const char *read_check(struct passthrough *out, const char *value)
{
	static const char *const kinds[] = {"off", "tcp", "tls"};

	for (int kind = PASSTHROUGH_CHECK_OFF; kind <= PASSTHROUGH_CHECK_TLS; kind++) {
		if (strcmp(value, kinds[kind]) != 0)
			continue;
		out->check = (enum passthrough_check)kind;
		return NULL;
	}
	return "check is off, tcp or tls";
}

static const char *read_interval(struct passthrough *out, const char *value)
{
	char *unit = NULL;
	unsigned long number = strtoul(value, &unit, 10);
	unsigned long scale = strcmp(unit, "ms") == 0  ? 1
			      : strcmp(unit, "s") == 0 ? 1000
			      : strcmp(unit, "m") == 0 ? 60 * 1000
						       : 0;

	if (value[0] < '0' || value[0] > '9' || scale == 0 || number > PASSTHROUGH_INTERVAL_MAX_MS / scale ||
	    number * scale < PASSTHROUGH_INTERVAL_MIN_MS)
		return "interval is a time from 500ms to 60m, such as 5s";
	out->interval_ms = (int64_t)(number * scale);
	return NULL;
}

static const char *read_affinity(struct passthrough *out, const char *value)
{
	if (strcmp(value, "off") == 0)
		out->affinity = PASSTHROUGH_IN_TURN;
	else if (strcmp(value, "client") == 0)
		out->affinity = PASSTHROUGH_BY_CLIENT;
	else if (strcmp(value, "session-id") == 0)
		out->affinity = PASSTHROUGH_BY_SESSION;
	else
		return "affinity is off, client or session-id";
	return NULL;
}

static const char *read_proxy(struct passthrough *out, const char *value)
{
	return read_switch(value, "v2", &out->proxy_v2) ? NULL : "proxy is off or v2";
}

static const char *read_plain(struct passthrough *out, const char *value)
{
	return read_switch(value, "on", &out->takes_plain) ? NULL : "plain is on or off";
}

/* Each returns the mend, or NULL. */
static const struct {
	const char *key;
	const char *(*read)(struct passthrough *out, const char *value);
} known[] = {
    {"check", read_check},
    {"interval", read_interval},
    {"affinity", read_affinity},
    {"proxy", read_proxy},
    {"plain", read_plain},
};

static enum result read_option(struct passthrough *out, char *word, char *equals, struct error *error)
{
	const char *problem = "no such option; there are check, interval, affinity, proxy and plain";

	*equals = '\0';
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(word, known[i].key) == 0)
			problem = known[i].read(out, equals + 1);
	*equals = '=';
	return problem ? refuse(error, word, problem) : R_OK;
}

/* ---- all words */

static enum result read_words(struct passthrough *out, char *words, struct error *error)
{
	enum result result = R_OK;
	char *rest = NULL;

	for (char *word = strtok_r(words, white, &rest); word && result == R_OK;
	     word = strtok_r(NULL, white, &rest)) {
		char *equals = strchr(word, '=');

		result = equals ? read_option(out, word, equals, error) : add_server(out, word, error);
	}
	return result;
}

enum result passthrough_parse(struct passthrough *out, const char *text, struct error *error)
{
	char words[PASSTHROUGH_TEXT_MAX + 1];

	*out = (struct passthrough){.interval_ms = PASSTHROUGH_INTERVAL_MS};
	if (strlen(text) > PASSTHROUGH_TEXT_MAX) {
		error_set(error, "longer than %d bytes: name fewer servers", PASSTHROUGH_TEXT_MAX);
		return R_INVALID;
	}
	strcpy(words, text);
	enum result result = read_words(out, words, error);
	if (result == R_OK && out->count == 0) {
		error_set(error, "it names no server: write host:port");
		result = R_INVALID;
	}
	return result;
}
