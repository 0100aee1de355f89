#include "edge/site/site_options.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/loop/log_rate.h"

static void complain(const char *name, const char *key, const char *problem)
{
	static struct log_rate rate;

	if (log_rate_allows(&rate))
		log_warn("an option of a domain is ignored", log_str("name", name), log_str("option", key),
		    log_str("problem", problem));
}

static void complain_closed(const char *name)
{
	static struct log_rate rate;

	if (log_rate_allows(&rate))
		log_error("nobody is let in: who may visit cannot be read", log_str("name", name),
		    log_str("mend", "correct the domain's options allow and deny"));
}

/* The first key of a line that jansson does not take (a number beyond its range, too deep nesting). */
static bool guards(const char *line)
{
	char key[16] = "";

	return sscanf(line, "{\"%15[a-z]\"", key) == 1 && domain_options_guards(key);
}

static void read_line(struct domain_options *out, const char *line, const char *name)
{
	json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *key = NULL;
	json_t *value = NULL;

	if (!json_is_object(root)) {
		complain(name, "", "it cannot be read as JSON");
		out->is_closed = out->is_closed || guards(line);
	}
	json_object_foreach(root, key, value)
	{
		struct error error = {{0}};

		if (domain_options_read(out, key, value, &error) != R_OK)
			complain(name, key, error.text);
	}
	json_decref(root);
}

static void drop_redirect(struct domain_options *options, const char *name)
{
	complain(name, "redirect", "its host is not an active domain of the tenant, or redirects itself");
	free((char *)(uintptr_t)options->redirect);
	options->redirect = NULL;
}

void site_options_read(struct domain_options *out, const char *lines, bool redirect_leads, const char *name)
{
	char *copy = lines ? mem_string(lines) : NULL;
	char *rest = copy;

	*out = (struct domain_options){0};
	while (rest)
		read_line(out, strsep(&rest, "\n"), name);
	if (out->redirect && !redirect_leads)
		drop_redirect(out, name);
	if (out->is_closed)
		complain_closed(name);
	free(copy);
}
