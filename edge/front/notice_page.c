#include "edge/front/notice_page.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

enum { ISSUING_S = 5, PENDING_S = 60, SUSPENDED_S = 3600, RETRY_MAX_S = 86400 };

static const struct {
	const char *title, *reason, *who;
	bool says_when;
	bool reloads;
} pages[NOTICE_KINDS] = {
    [NOTICE_PENDING] = {"This site is not set up yet",
	"Its domain has been registered here, but the DNS records that prove it have not been found so far.",
	"Whoever manages the domain has to publish the records that the site's provider shows, and have them "
	"checked.",
	false, false},
    [NOTICE_SUSPENDED] = {"This site is switched off", "It is not being served at the moment.",
	"Whoever runs the site has to contact the site's provider.", false, false},
    [NOTICE_ISSUING] = {"Almost there",
	"The certificate of this site is being issued. This usually takes less than a minute.",
	"Nobody has to act: this page tries again by itself.", false, true},
    [NOTICE_UNREACHABLE] = {"This site has no certificate yet",
	"The certificate authority did not find its way here: the DNS records of the domain are missing, "
	"wrong, or lead somewhere else as well.",
	"Whoever manages the domain has to compare its records (CNAME, A and AAAA) with those that the "
	"site's provider shows.",
	true, false},
    [NOTICE_CAA] = {"This site has no certificate yet",
	"A CAA record of the domain forbids the certificate authority to issue.",
	"Whoever manages the domain's DNS has to allow this authority, or remove the CAA record.", true,
	false},
    [NOTICE_LIMITED] = {"This site has no certificate yet",
	"The certificate authority takes no more requests for this domain for now.",
	"Nobody has to act: it is tried again when the authority allows it.", true, false},
    [NOTICE_REJECTED] = {"This site has no certificate yet",
	"The certificate authority refuses to issue for this name.", "The site's provider has to act.", true,
	false},
    [NOTICE_DELAYED] = {"This site has no certificate yet",
	"It could not be issued just now, for a reason that does not lie with the domain.",
	"Nobody has to act: it is tried again.", true, false},
};

static void write_when(char *out, size_t size, int64_t seconds, int64_t now_ms)
{
	time_t when = (time_t)(now_ms / 1000 + seconds);
	struct tm parts;

	gmtime_r(&when, &parts);
	strftime(out, size, "<p>Next try: %Y-%m-%d %H:%M UTC, or soon after.</p>\n", &parts);
}

struct http_slice notice_page_write(
    char out[NOTICE_PAGE_MAX], enum notice_kind kind, int64_t retry_s, int64_t now_ms)
{
	char when[80] = "";

	assert(kind > NOTICE_NONE && kind < NOTICE_KINDS);
	if (pages[kind].says_when && retry_s > 0)
		write_when(when, sizeof when, retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S, now_ms);
	int size = snprintf(out, NOTICE_PAGE_MAX,
	    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	    "<meta name=\"viewport\" content=\"width=device-width\">%s<title>%s</title></head>\n"
	    "<body><h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n%s</body></html>\n",
	    pages[kind].reloads ? "<meta http-equiv=\"refresh\" content=\"5\">" : "", pages[kind].title,
	    pages[kind].title, pages[kind].reason, pages[kind].who, when);
	assert(size < NOTICE_PAGE_MAX);
	return (struct http_slice){out, (size_t)size};
}

int notice_retry_after(enum notice_kind kind, int64_t retry_s)
{
	if (kind == NOTICE_ISSUING)
		return ISSUING_S;
	if (kind == NOTICE_SUSPENDED)
		return SUSPENDED_S;
	if (retry_s <= 0)
		return PENDING_S;
	return (int)(retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S);
}
