#include "edge/trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Another one for each process: a loop is what passes the same node again and again, not two nodes in a row.
 */
static enum result make_via(struct trust *trust, struct error *error)
{
	/* RFC 9110 section 2.5: where there are no minor versions, 0 stands for them. */
	static const char *const versions[HTTP_VERSIONS] = {"1.0", "1.1", "2.0"};
	uint32_t number;

	if (getrandom(&number, sizeof number, 0) != sizeof number) {
		error_set(error, "the kernel gives no random numbers: %s", strerror(errno));
		return R_ERROR;
	}
	for (int i = 0; i < HTTP_VERSIONS; i++)
		snprintf(trust->via[i], TRUST_VIA_SIZE, "%s postern-%08x", versions[i], (unsigned)number);
	return R_OK;
}

static enum result load_proxies(struct trust *trust, const struct settings *settings, struct error *error)
{
	enum result result = ip_ranges_load(&trust->proxies, settings, "proxy-trust", error);

	trust->proxy_required = strcmp(settings_string(settings, "proxy-protocol"), "required") == 0;
	trust->proxy_timeout_ms = settings_number(settings, "proxy-timeout");
	if (result != R_OK || !trust->proxy_required || trust->proxies.count > 0)
		return result;
	error_set(error,
	    "proxy-protocol=required needs proxy-trust: name the load balancers' networks, as in "
	    "proxy-trust=10.0.0.0/16, since whoever is believed may claim any address");
	return R_INVALID;
}

enum result trust_load(struct trust *out, const struct settings *settings, struct error *error)
{
	*out = (struct trust){.https_port = (uint16_t)settings_number(settings, "https-port")};
	enum result result = load_proxies(out, settings, error);

	if (result == R_OK)
		result = ip_ranges_load(&out->cdns, settings, "forwarded-trust", error);
	if (result == R_OK && settings_switch(settings, "via"))
		result = make_via(out, error);
	if (result != R_OK)
		trust_fini(out);
	return result;
}

void trust_fini(struct trust *trust)
{
	ip_ranges_fini(&trust->proxies);
	ip_ranges_fini(&trust->cdns);
}
