#include "edge/edge_settings.h"

#include <stdint.h>

#include "edge/http_config.h"
#include "edge/pass/pass_config.h"
#include "edge/tls/default_names.h"
#include "edge/trust.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, MIB = 1024 * 1024 };

/* clang-format off */
static const struct setting table[] = {
	SETTINGS_OF_EVERY_DAEMON("127.0.0.1:2019"),
	{"seal-key-file", SETTING_FILE, SETTING_REQUIRED, NULL,
	    "Key file (made by `postern seal-key new`) that opens the certificates' keys. Read before the "
	    "rights are dropped, and again on SIGHUP where it is still readable.", NULL, 0, 0},

	{"listen-https", SETTING_ADDRESS, SETTING_REPEAT, ":443",
	    "Address for TLS. Containers listen on :8443.", NULL, 0, 0},
	{"listen-http", SETTING_ADDRESS, SETTING_REPEAT, ":80",
	    "Address for plain HTTP: answers http-01 challenges, redirects the rest. Containers: :8080.",
	    NULL, 0, 0},
	{"workers", SETTING_INTEGER, 0, "0",
	    "Threads that serve connections. 0: the cores this process may use, or the cgroup's CPU quota "
	    "rounded up.",
	    NULL, 0, 256},

	TRUST_SETTINGS,

	HTTP_SETTINGS,

	PASS_SETTINGS,

	DEFAULT_NAMES_SETTING,

	{"ask-url", SETTING_URL, SETTING_RELOAD, NULL,
	    "May this name have a certificate? GET ask-url?domain=NAME; any 2xx answer allows, other "
	    "definite ones deny. Default: only names with a stored certificate are served.", NULL, 0, 0},
	{"ask-ca", SETTING_FILE, SETTING_RELOAD, NULL,
	    "PEM file of the CAs that may vouch for an https ask-url. Default: the system's.", NULL, 0, 0},
	{"ask-client-cert-file", SETTING_FILE, SETTING_RELOAD, NULL,
	    "PEM certificate, with what leads to its CA, that is shown to an https ask-url. Default: none.", NULL, 0, 0},
	{"ask-client-key-file", SETTING_FILE, SETTING_RELOAD, NULL, "PEM private key of ask-client-cert-file, not encrypted.",
	    NULL, 0, 0},
	{"ask-token", SETTING_STRING, SETTING_SECRET | SETTING_RELOAD, NULL,
	    "Bearer token sent with each ask. Also ask-token-file.", NULL, 0, 0},
	{"ask-token-file", SETTING_FILE, SETTING_RELOAD, NULL, "File that holds the value of `ask-token`.", NULL, 0, 0},

	{"issue-wait", SETTING_DURATION, SETTING_RELOAD, "30s",
	    "Longest wait of a visitor for a certificate in the making. The issuance goes on after it.",
	    NULL, 100, 5 * MINUTE},
	{"cert-cache", SETTING_BYTES, 0, "256M",
	    "Memory for certificates that all workers share, about 1.5 KiB each; the least recently used go.",
	    NULL, MIB, INT64_C(1) << 40},
	{"hot-certificates", SETTING_INTEGER, 0, "4096",
	    "Certificates that each worker keeps decoded, about 9 KiB each.", NULL, 1, 1000 * 1000},
	{"cache-max-age", SETTING_DURATION, 0, "30s",
	    "A cached certificate is compared with the database at least this often.", NULL, 100, HOUR},
	{"negative-ttl", SETTING_DURATION, SETTING_RELOAD, "10s",
	    "How long a denied name is remembered.", NULL, 0, 10 * SECOND},

	{"max-connections", SETTING_INTEGER, SETTING_RELOAD, "0",
	    "Client connections of this process; one above it is refused. 0: what the limit of open files "
	    "allows.",
	    NULL, 0, 10 * 1000 * 1000},
	{"max-connections-per-client", SETTING_INTEGER, SETTING_RELOAD, "0",
	    "Connections that one client address (IPv6: one /64) may have, as far as it is known: behind a load "
	    "balancer use proxy-protocol. Many people may share an address. 0: no limit.", NULL, 0, 1000 * 1000},
	{"max-memory", SETTING_BYTES, SETTING_RELOAD, "0",
	    "Memory for connections and what they have in flight, about; above it new connections and new requests "
	    "are refused. Certificates in memory are not in it. 0: half of what the machine or the cgroup has.",
	    NULL, 0, INT64_C(1) << 50},
	{"max-waiting", SETTING_INTEGER, SETTING_RELOAD, "20000",
	    "Connections that may wait for a certificate or a challenge; the newest above it is refused.",
	    NULL, 0, 10 * 1000 * 1000},
	{"max-waiting-bytes", SETTING_BYTES, SETTING_RELOAD, "64M",
	    "Memory for what waiting connections have sent so far.", NULL, 64 * 1024, INT64_C(1) << 40},
	{"tls-minimum", SETTING_CHOICE, SETTING_RELOAD, "1.2",
	    "Oldest version of TLS that is spoken; a domain's option minimum_tls may ask for more.", "1.2|1.3", 0, 0},
	{"hello-timeout", SETTING_DURATION, SETTING_RELOAD, "5s",
	    "Longest wait for a complete ClientHello.", NULL, 10, MINUTE},
	{"handshake-timeout", SETTING_DURATION, SETTING_RELOAD, "10s",
	    "Longest TLS handshake, once its certificate is there.", NULL, 10, MINUTE},

	{"drain-delay", SETTING_DURATION, SETTING_RELOAD, "5s",
	    "After SIGTERM: how long connections are still accepted while /readyz says no. Give a load "
	    "balancer the time to notice.", NULL, 0, 10 * MINUTE},
	{"drain-timeout", SETTING_DURATION, SETTING_RELOAD, "30s",
	    "After drain-delay: how long requests in flight may go on before they are cut.", NULL, 0, HOUR},
};
/* clang-format on */

const struct settings_program edge_settings = {
    .name = "postern-edge",
    .summary = "terminates TLS for names that get their certificate with the first visitor, and proxies to "
	       "the app tier",
    .table = table,
    .count = sizeof table / sizeof *table,
    .reloads = true,
};
