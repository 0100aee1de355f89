/* The operator's program. Finds the command, reads its settings, runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/base/version.h"
#include "common/cli/command.h"
#include "common/log/log.h"

enum { WORDS_MAX = 8 };

static const struct setting no_settings[] = {
    {"config", SETTING_FILE, 0, NULL, "File of settings, one `name value` a line, # starts a comment.", NULL,
	0, 0},
};

#define DATABASE_SETTINGS \
	{"config", SETTING_FILE, 0, NULL, "File of settings, one `name value` a line, # starts a comment.", \
	    NULL, 0, 0}, \
	    {"database", SETTING_STRING, SETTING_REQUIRED, NULL, \
		"PostgreSQL connection (libpq conninfo or URI). Also database-file.", NULL, 0, 0}, \
	{ \
		"database-file", SETTING_FILE, 0, NULL, "File that holds the value of `database`.", NULL, 0, \
		    0 \
	}

static const struct setting import_settings[] = {
    DATABASE_SETTINGS,
    {"chain", SETTING_FILE, SETTING_REQUIRED, NULL,
	"PEM file with the certificate and those that lead to its root, in any order.", NULL, 0, 0},
    {"key", SETTING_FILE, SETTING_REQUIRED, NULL, "PEM file with the private key, not encrypted.", NULL, 0,
	0},
    {"seal-public-file", SETTING_FILE, 0, NULL,
	"Public half (FILE.pub) of the key that seals private keys. Or give seal-key-file.", NULL, 0, 0},
    {"seal-key-file", SETTING_FILE, 0, NULL, "The key that seals private keys.", NULL, 0, 0},
};

static const struct setting export_settings[] = {
    DATABASE_SETTINGS,
    {"chain", SETTING_STRING, SETTING_REQUIRED, NULL, "File to be made for the chain.", NULL, 0, 0},
    {"key", SETTING_STRING, SETTING_REQUIRED, NULL, "File to be made for the private key, mode 0600.", NULL,
	0, 0},
    {"seal-key-file", SETTING_FILE, SETTING_REQUIRED, NULL, "The key that opens sealed private keys.", NULL,
	0, 0},
};

static const struct setting acme_settings[] = {
    DATABASE_SETTINGS,
    {"directory", SETTING_URL, 0, NULL,
	"Directory URL of the CA whose account is meant; may be left out where there is one account.", NULL,
	0, 0},
};

static const struct setting revoke_settings[] = {
    DATABASE_SETTINGS,
    {"reason", SETTING_CHOICE, 0, "unspecified",
	"Why (RFC 5280). keyCompromise also bars the key for ever. After all but cessationOfOperation a new "
	"certificate is ordered.",
	"unspecified|keyCompromise|affiliationChanged|superseded|cessationOfOperation", 0, 0},
    {"by-key", SETTING_SWITCH, 0, "off",
	"Signed by the certificate's own key, where the account at the CA is not the one that ordered it.",
	NULL, 0, 0},
};

static const struct setting rotate_settings[] = {
    DATABASE_SETTINGS,
    {"seal-key-file", SETTING_FILE, SETTING_REQUIRED, NULL,
	"Key file: everything sealed is opened with any of its keys, and sealed anew for the first.", NULL, 0,
	0},
};

static const struct setting reissue_settings[] = {
    DATABASE_SETTINGS,
    {"all", SETTING_SWITCH, 0, "off", "Every certificate that the issuers obtained.", NULL, 0, 0},
    {"name", SETTING_STRING, 0, NULL, "The certificate of this host name or wildcard.", NULL, 0, 0},
    {"issuer", SETTING_STRING, 0, NULL, "Those whose issuer's name holds this text.", NULL, 0, 0},
    {"directory", SETTING_STRING, 0, NULL, "Those of the CA with this directory URL.", NULL, 0, 0},
    {"reason", SETTING_STRING, 0, NULL,
	"Why, in your words: the same certificates for the same reason are one campaign, however often asked "
	"for.",
	NULL, 0, 0},
    {"dry-run", SETTING_SWITCH, 0, "off", "Only count what would be issued anew.", NULL, 0, 0},
    {"status", SETTING_SWITCH, 0, "off", "Show the campaigns and how far they are.", NULL, 0, 0},
    {"cancel", SETTING_SWITCH, 0, "off", "End running campaigns: all, or those for this reason.", NULL, 0, 0},
};

static const struct setting database_settings[] = {DATABASE_SETTINGS};

#define TABLE(table) (table), sizeof(table) / sizeof *(table)

static const struct command {
	const char *name;
	const char *words; /* as the usage shows them */
	const char *summary;
	const struct setting *settings;
	size_t settings_count;
	int words_count;
	command_run *run;
} commands[] = {
    {"migrate", "", "bring the database's tables and roles up to date", TABLE(database_settings), 0,
	command_migrate},
    {"seal-key new", "FILE", "make a key that seals private keys: FILE and FILE.pub", TABLE(no_settings), 1,
	command_seal_key_new},
    {"seal-key rotate", "--seal-key-file=FILE", "seal everything anew for the file's first key",
	TABLE(rotate_settings), 0, command_seal_key_rotate},
    {"reissue", "--all|--name=…|--issuer=…|--directory=… --reason=…",
	"replace certificates before their time", TABLE(reissue_settings), 0, command_reissue},
    {"status", "", "what there is, what is due, what fails", TABLE(database_settings), 0, command_status},
    {"explain", "NAME", "everything known about one host name", TABLE(database_settings), 1, command_explain},
    {"certificate import", "NAME --chain=FILE --key=FILE", "store a certificate of your own",
	TABLE(import_settings), 1, command_certificate_import},
    {"certificate list", "", "what is stored", TABLE(database_settings), 0, command_certificate_list},
    {"certificate show", "NAME", "one stored certificate", TABLE(database_settings), 1,
	command_certificate_show},
    {"certificate export", "NAME --chain=FILE --key=FILE", "write a certificate and its key to files",
	TABLE(export_settings), 1, command_certificate_export},
    {"certificate remove", "NAME", "forget a certificate that was imported", TABLE(database_settings), 1,
	command_certificate_remove},
    {"certificate issue", "NAME", "have the issuers obtain one now: of a name, or of *.NAME",
	TABLE(database_settings), 1, command_certificate_issue},
    {"certificate revoke", "NAME --reason=REASON", "have the CA say that it is not to be trusted any more",
	TABLE(revoke_settings), 1, command_certificate_revoke},
    {"acme rollover", "", "give the account at the CA another key", TABLE(acme_settings), 0,
	command_acme_rollover},
    {"acme deactivate", "--directory=URL", "end the account at a CA", TABLE(acme_settings), 0,
	command_acme_deactivate},
    {"acme register", "", "make another account after a deactivation", TABLE(acme_settings), 0,
	command_acme_register},
    {"acme tasks", "", "what was asked of the issuers, and what came of it", TABLE(database_settings), 0,
	command_acme_tasks},
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: postern COMMAND [--setting=value ...]\n\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char form[80];
		snprintf(form, sizeof form, "%s %s", commands[i].name, commands[i].words);
		fprintf(to, "  %-48s %s\n", form, commands[i].summary);
	}
	fprintf(to, "\nThe database is given by --database=CONNINFO or POSTERN_DATABASE.\n"
		    "`postern COMMAND --help` lists a command's settings. Exit codes: 0 done, 1 failed, 2 "
		    "wrong usage.\n");
}

/* A command is one word or two; `used` is how many of argv it took. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	char both[64];
	snprintf(both, sizeof both, "%s %s", argv[1], argc > 2 ? argv[2] : "");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		*used = strchr(commands[i].name, ' ') ? 3 : 2;
		if (!strcmp(commands[i].name, *used == 3 ? both : argv[1]))
			return &commands[i];
	}
	return NULL;
}

/* The commands whose name begins with this word, which alone is none. False: there are none. */
static bool print_family(const char *word)
{
	size_t size = strlen(word);
	bool found = false;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strncmp(commands[i].name, word, size) != 0 || commands[i].name[size] != ' ')
			continue;
		fprintf(stderr, "%s postern %s %s\n",
		    found ? "        " : "postern: usage:", commands[i].name, commands[i].words);
		found = true;
	}
	return found;
}

/* Splits what follows the command into words and settings; the settings keep argv's form, a program's name
 * first. False: too many words. */
static bool split(int argc, char **argv, int first, char **words, char **settings, int *settings_count)
{
	int words_count = 0;
	*settings_count = 1;
	settings[0] = argv[0];
	for (int i = first; i < argc; i++) {
		if (!strncmp(argv[i], "-", 1))
			settings[(*settings_count)++] = argv[i];
		else if (words_count == WORDS_MAX)
			return false;
		else
			words[words_count++] = argv[i];
	}
	words[words_count] = NULL;
	settings[*settings_count] = NULL;
	return true;
}

static int wrong_usage(const struct command *command)
{
	fprintf(stderr, "postern: usage: postern %s %s\n", command->name, command->words);
	return EXIT_USAGE;
}

static int run_command(const struct command *command, int argc, char **argv, int used)
{
	char *words[WORDS_MAX + 1];
	char name[64];
	struct settings *settings = NULL;
	struct error error;
	int code = EXIT_USAGE;
	int count = 0;
	char **options = mem_alloc_array((size_t)argc + 1, sizeof *options);
	if (!split(argc, argv, used, words, options, &count)) {
		code = wrong_usage(command);
		goto out;
	}
	snprintf(name, sizeof name, "postern %s", command->name);
	const struct settings_program program = {
	    .name = name,
	    .summary = command->summary,
	    .table = command->settings,
	    .count = command->settings_count,
	};
	enum result result = settings_load(&settings, &program, count, options, &error);
	if (result == R_NONE) {
		code = EXIT_DONE;
		goto out;
	}
	if (result != R_OK) {
		fprintf(stderr, "postern: %s\n", error.text);
		goto out;
	}
	int given = 0;
	while (words[given])
		given++;
	code = given == command->words_count ? command->run(settings, words) : wrong_usage(command);
out:
	settings_free(settings);
	free(options);
	return code;
}

int main(int argc, char **argv)
{
	log_init("postern", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
	const char *first = argc > 1 ? argv[1] : "";
	if (!*first) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h")) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(first, "version") || !strcmp(first, "--version")) {
		printf("postern %s\n", POSTERN_VERSION);
		return EXIT_DONE;
	}
	int used = 0;
	const struct command *command = find_command(argc, argv, &used);
	if (!command && print_family(first))
		return EXIT_USAGE;
	if (!command) {
		fprintf(stderr, "postern: there is no command `%s`; `postern help` lists them\n", first);
		return EXIT_USAGE;
	}
	return run_command(command, argc, argv, used);
}
