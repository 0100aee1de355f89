#include "verifier/web/web.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "verifier/web/web_files.h"

#define PORTAL "/portal"
#define CSP \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors "
/* A picture, whatever is written in it. */
#define CSP_OF_PICTURES "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

enum { FILES_MAX = WEB_FILES_MAX + 3, TAG = 20, PAGE_MAX = 64 * 1024 };

struct file {
	struct web_file is;
	char tag[TAG];
};

struct web {
	const struct config *config;
	struct file files[FILES_MAX];
	size_t count;
	char *page; /* with the operator's name */
};

static void make_tag(struct file *file)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)file->is.bytes, file->is.size, hash);
	snprintf(file->tag, TAG, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1], hash[2], hash[3],
	    hash[4], hash[5], hash[6], hash[7]);
}

static void append_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		const char *entity = *text == '&'    ? "&amp;"
				     : *text == '<'  ? "&lt;"
				     : *text == '>'  ? "&gt;"
				     : *text == '"'  ? "&quot;"
				     : *text == '\'' ? "&#39;"
						     : NULL;
		if (entity)
			buf_append_string(out, entity);
		else
			buf_append(out, text, 1);
	}
}

/* Each {brand} is the operator's name. */
static char *make_page(const struct web_file *file, const char *name, size_t *size)
{
	static const char mark[] = "{brand}";
	struct buf page;
	const char *from = file->bytes;
	buf_init(&page, PAGE_MAX);
	for (const char *at = strstr(from, mark); at; at = strstr(from, mark)) {
		buf_append(&page, from, (size_t)(at - from));
		append_escaped(&page, name);
		from = at + strlen(mark);
	}
	buf_append_string(&page, from);
	*size = buf_size(&page);
	char *text = mem_copy(buf_bytes(&page), *size);
	buf_fini(&page);
	return text;
}

static void add(struct web *web, struct web_file is)
{
	struct file *file = &web->files[web->count++];
	file->is = is;
	make_tag(file);
}

static const struct file *find_file(const struct web *web, const char *path)
{
	for (size_t i = 0; i < web->count; i++)
		if (strcmp(path, web->files[i].is.path) == 0)
			return &web->files[i];
	return NULL;
}

static void add_logo(struct web *web, const struct brand *brand)
{
	struct web_file logo = find_file(web, "/icon.svg")->is;
	if (buf_size(&brand->logo))
		logo = (struct web_file){.type = brand->logo_type,
		    .bytes = buf_bytes(&brand->logo),
		    .size = buf_size(&brand->logo)};
	logo.path = "/logo";
	add(web, logo);
}

struct web *web_new(const struct config *config)
{
	struct web *web = mem_alloc(sizeof *web);
	struct web_file files[WEB_FILES_MAX];
	size_t count = web_files(files), size = 0;
	web->config = config;
	web->page = make_page(&files[0], config->brand.name, &size);
	add(web, (struct web_file){"/", files[0].type, web->page, size});
	add(web, (struct web_file){PORTAL, files[0].type, web->page, size});
	for (size_t i = 1; i < count; i++)
		add(web, files[i]);
	add(web, (struct web_file){"/brand.css", "text/css; charset=utf-8", buf_bytes(&config->brand.css),
		     buf_size(&config->brand.css)});
	add_logo(web, &config->brand);
	return web;
}

void web_free(struct web *web)
{
	if (!web)
		return;
	free(web->page);
	free(web);
}

bool web_has(const struct web *web, const char *path)
{
	return find_file(web, path);
}

static void set_policy(const struct web *web, const struct web_file *file, struct mhd_reply *reply)
{
	bool framed = web->config->frame_ancestors && strcmp(file->path, PORTAL) == 0;
	if (strncmp(file->type, "image/", 6) == 0)
		mhd_reply_header(reply, "Content-Security-Policy", CSP_OF_PICTURES);
	else
		mhd_reply_header(reply, "Content-Security-Policy", CSP "%s",
		    framed ? web->config->frame_ancestors : "'none'");
	if (!framed)
		mhd_reply_header(reply, "X-Frame-Options", "DENY");
	mhd_reply_header(reply, "Referrer-Policy", "no-referrer");
	mhd_reply_header(reply, "Cross-Origin-Opener-Policy", "same-origin");
}

void web_reply(const struct web *web, const struct mhd_request *request, struct mhd_reply *reply)
{
	const struct file *file = find_file(web, request->path);
	const char *known = mhd_request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
	reply->status = known && strcmp(known, file->tag) == 0 ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
	if (reply->status == MHD_HTTP_OK) {
		reply->type = file->is.type;
		reply->body = (char *)file->is.bytes;
		reply->size = file->is.size;
		reply->borrowed = true;
	}
	mhd_reply_header(reply, MHD_HTTP_HEADER_ETAG, "%s", file->tag);
	mhd_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	set_policy(web, &file->is, reply);
}
