#include "acme/ca/acme_header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acme/ca/acme_link.h"

enum { LINE_MAX_SIZE = 2 * 1024 };

static void take_content_type(struct acme_response *response, const char *value)
{
	size_t size = strcspn(value, "; \t");
	response->is_pem = size == strlen("application/pem-certificate-chain") &&
			   strncasecmp(value, "application/pem-certificate-chain", size) == 0;
}

static void take(
    struct acme_response *response, const char *url, const char *name, const char *value, int64_t now)
{
	if (strcasecmp(name, "replay-nonce") == 0 && strlen(value) < sizeof response->nonce &&
	    base64url_is_token(value))
		snprintf(response->nonce, sizeof response->nonce, "%s", value);
	else if (strcasecmp(name, "location") == 0 && acme_url_is_safe(value))
		snprintf(response->location, sizeof response->location, "%s", value);
	else if (strcasecmp(name, "retry-after") == 0)
		response->retry_after = acme_parse_retry_after(value, now);
	else if (strcasecmp(name, "content-type") == 0)
		take_content_type(response, value);
	else if (strcasecmp(name, "link") == 0)
		acme_link_read_alternates(
		    response->alternates, &response->alternate_count, ACME_ALTERNATES_MAX, value, url);
}

void acme_header_read(
    struct acme_response *response, const char *url, const char *bytes, size_t size, int64_t now)
{
	char line[LINE_MAX_SIZE];
	const char *colon = size < sizeof line ? memchr(bytes, ':', size) : NULL;
	if (!colon || memchr(bytes, '\0', size))
		return;
	memcpy(line, bytes, size);
	line[size] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	char *value = line + (colon - bytes);
	*value++ = '\0';
	value += strspn(value, " \t");
	for (size_t end = strlen(value); end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'); end--)
		value[end - 1] = '\0';
	take(response, url, line, value, now);
}
