#include "verifier/web/web.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define CSP \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' " \
	"data:; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/* Paths as the compiler sees them: it runs in the root of the tree. */
#define EMBED(symbol, path) \
	__asm__(".section .rodata\n" #symbol ":\n" \
		".incbin \"" path "\"\n" #symbol "_end:\n" \
		".byte 0\n" \
		".previous\n"); \
	extern const char symbol[] __attribute__((visibility("hidden"))); \
	extern const char symbol##_end[] __attribute__((visibility("hidden")))

EMBED(web_index_html, "verifier/web/index.html");
EMBED(web_app_css, "verifier/web/app.css");
EMBED(web_app_js, "verifier/web/app.js");
EMBED(web_icon_svg, "verifier/web/icon.svg");

static const struct file {
	const char *path, *type, *start, *end;
} files[] = {
    {"/", "text/html; charset=utf-8", web_index_html, web_index_html_end},
    {"/app.css", "text/css; charset=utf-8", web_app_css, web_app_css_end},
    {"/app.js", "text/javascript; charset=utf-8", web_app_js, web_app_js_end},
    {"/icon.svg", "image/svg+xml", web_icon_svg, web_icon_svg_end},
};

static const struct file *find_file(const char *path)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strcmp(path, files[i].path) == 0)
			return &files[i];
	return NULL;
}

static void make_tag(const struct file *file, char tag[20])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)file->start, (size_t)(file->end - file->start), hash);
	snprintf(tag, 20, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1], hash[2], hash[3], hash[4],
	    hash[5], hash[6], hash[7]);
}

bool web_has(const char *path)
{
	return find_file(path);
}

void web_reply(const struct mhd_request *request, struct mhd_reply *reply)
{
	const struct file *file = find_file(request->path);
	char tag[20];
	make_tag(file, tag);
	const char *known = mhd_request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
	reply->status = known && strcmp(known, tag) == 0 ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
	if (reply->status == MHD_HTTP_OK) {
		reply->type = file->type;
		reply->body = (char *)file->start;
		reply->size = (size_t)(file->end - file->start);
		reply->borrowed = true;
	}
	mhd_reply_header(reply, MHD_HTTP_HEADER_ETAG, "%s", tag);
	mhd_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	mhd_reply_header(reply, "Content-Security-Policy", "%s", CSP);
	mhd_reply_header(reply, "Referrer-Policy", "no-referrer");
	mhd_reply_header(reply, "X-Frame-Options", "DENY");
	mhd_reply_header(reply, "Cross-Origin-Opener-Policy", "same-origin");
}
