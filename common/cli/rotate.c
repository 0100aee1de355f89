/* `postern seal-key rotate`: see rewrap.h. */
#include <inttypes.h>
#include <stdio.h>

#include "common/cli/command.h"
#include "common/cli/rewrap.h"

static void on_column(void *arg, const char *column, const struct rewrap_count *count)
{
	(void)arg;
	printf("%s: %" PRId64 " rows, %" PRId64 " sealed anew", column, count->seen, count->wrapped);
	if (count->changed > 0)
		printf(", %" PRId64 " times one was changed meanwhile", count->changed);
	if (count->closed > 0)
		printf(", %" PRId64 " CANNOT BE OPENED with the keys in the file", count->closed);
	printf("\n");
	fflush(stdout);
}

int command_seal_key_rotate(const struct settings *settings, char **words)
{
	(void)words;
	struct seal_keys *keys = NULL;
	struct rewrap_count sum;
	struct error error;
	int code = EXIT_FAILED;
	if (seal_keys_load_secret(&keys, settings_string(settings, "seal-key-file"), &error) != R_OK)
		return command_fail(error.text);
	struct pg *pg = command_connect(settings);
	if (!pg)
		goto out;
	if (rewrap_all(pg, keys, on_column, NULL, &sum, &error) != R_OK) {
		command_fail(error.text);
		goto out;
	}
	printf("all of it is sealed for key %s now", seal_keys_id(keys));
	printf(sum.closed > 0 ? ", but for what cannot be opened: is a key missing in the file?\n" : "\n");
	code = sum.closed > 0 ? EXIT_FAILED : EXIT_DONE;
out:
	pg_free(pg);
	seal_keys_free(keys);
	return code;
}
