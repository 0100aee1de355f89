#include "edge/error_pages.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/mem.h"

static const struct {
	int status;
	const char *setting;
} kinds[ERROR_PAGE_KINDS] = {{421, "error-page-421"}, {502, "error-page-502"}, {503, "error-page-503"},
    {504, "error-page-504"}, {ERROR_PAGE_SORRY, "sorry-page"}};

static enum result load(
    struct error_pages *out, int kind, const struct settings *settings, struct error *error)
{
	const char *path = settings_string(settings, kinds[kind].setting);
	struct buf bytes;

	if (!path)
		return R_OK;
	buf_init(&bytes, ERROR_PAGE_MAX);
	enum result result = file_read(path, &bytes, error);
	if (result == R_OK) {
		out->pages[kind].size = buf_size(&bytes);
		out->pages[kind].html = mem_copy(buf_bytes(&bytes), buf_size(&bytes));
	} else {
		error_prefix(error, "%s", kinds[kind].setting);
	}
	buf_fini(&bytes);
	return result;
}

enum result error_pages_load(struct error_pages *out, const struct settings *settings, struct error *error)
{
	enum result result = R_OK;

	*out = (struct error_pages){0};
	for (int kind = 0; kind < ERROR_PAGE_KINDS && result == R_OK; kind++)
		result = load(out, kind, settings, error);
	if (result != R_OK)
		error_pages_fini(out);
	return result;
}

void error_pages_fini(struct error_pages *pages)
{
	for (int kind = 0; kind < ERROR_PAGE_KINDS; kind++)
		free(pages->pages[kind].html);
	*pages = (struct error_pages){0};
}

struct http_slice error_pages_find(const struct error_pages *pages, int status)
{
	for (int kind = 0; kind < ERROR_PAGE_KINDS; kind++)
		if (kinds[kind].status == status)
			return (struct http_slice){pages->pages[kind].html, pages->pages[kind].size};
	return (struct http_slice){0};
}
