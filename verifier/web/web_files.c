/* A new file of the dashboard is one more line here. */
#include "verifier/web/web_files.h"

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

#define FILES(X) \
	X(index, "/", "index.html", HTML) \
	X(app_css, "/app.css", "app.css", CSS) \
	X(app_js, "/app.js", "app.js", JS) \
	X(icon, "/icon.svg", "icon.svg", "image/svg+xml")

/* Paths as the compiler sees them: it runs in the root of the tree. */
#define EMBED(symbol, path, file, type) \
	__asm__(".section .rodata\n" \
		"web_" #symbol ":\n" \
		".incbin \"verifier/web/" file "\"\n" \
		"web_" #symbol "_end:\n" \
		".byte 0\n" \
		".previous\n");
#define DECLARE(symbol, path, file, type) \
	extern const char web_##symbol[] __attribute__((visibility("hidden"))); \
	extern const char web_##symbol##_end[] __attribute__((visibility("hidden")));
#define ENTRY(symbol, path, file, type) \
	files[count++] = \
	    (struct web_file){path, type, web_##symbol, (size_t)(web_##symbol##_end - web_##symbol)};
#define ONE(symbol, path, file, type) +1

FILES(EMBED)
FILES(DECLARE)

_Static_assert(0 FILES(ONE) <= WEB_FILES_MAX, "WEB_FILES_MAX holds them all");

size_t web_files(struct web_file files[WEB_FILES_MAX])
{
	size_t count = 0;
	FILES(ENTRY)
	return count;
}
