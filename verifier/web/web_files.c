/* A new file of the dashboard is one more line here. */
#include "verifier/web/web_files.h"

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

#define FILES(X) \
	X(index, "/", "index.html", HTML) \
	X(icon, "/icon.svg", "icon.svg", "image/svg+xml") \
	X(base_css, "/css/base.css", "css/base.css", CSS) \
	X(domain_css, "/css/domain.css", "css/domain.css", CSS) \
	X(operator_css, "/css/operator.css", "css/operator.css", CSS) \
	X(parts_css, "/css/parts.css", "css/parts.css", CSS) \
	X(advice_js, "/js/advice.js", "js/advice.js", JS) \
	X(api_js, "/js/api.js", "js/api.js", JS) \
	X(app_js, "/js/app.js", "js/app.js", JS) \
	X(certificate_js, "/js/certificate.js", "js/certificate.js", JS) \
	X(copy_js, "/js/copy.js", "js/copy.js", JS) \
	X(dom_js, "/js/dom.js", "js/dom.js", JS) \
	X(domain_js, "/js/domain.js", "js/domain.js", JS) \
	X(domains_js, "/js/domains.js", "js/domains.js", JS) \
	X(explain_js, "/js/explain.js", "js/explain.js", JS) \
	X(history_js, "/js/history.js", "js/history.js", JS) \
	X(login_js, "/js/login.js", "js/login.js", JS) \
	X(mail_js, "/js/mail.js", "js/mail.js", JS) \
	X(overview_js, "/js/overview.js", "js/overview.js", JS) \
	X(records_js, "/js/records.js", "js/records.js", JS) \
	X(tenants_js, "/js/tenants.js", "js/tenants.js", JS) \
	X(words_js, "/js/words.js", "js/words.js", JS)

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
