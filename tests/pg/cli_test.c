/* The operator's program as a person runs it: what it prints, and its exit codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pg/database.h"

#define TOKEN "tttttttttttttttttttttttttttttttttttt"

enum { OUTPUT_MAX = 16384 };

/* Both streams into `output`; returns the exit code. `arguments` is shell text, $database in it the test's
 * own. */
static int postern(void **state, char output[OUTPUT_MAX], const char *arguments)
{
	char command[1024];
	const char *build = getenv("BUILD");
	setenv("database", state ? database_conninfo(state, NULL) : "", 1);
	snprintf(command, sizeof command, "%s/postern %s 2>&1", build ? build : "build", arguments);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t size = fread(output, 1, OUTPUT_MAX - 1, pipe);
	output[size] = 0;
	int status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void says(void **state, int code, const char *words, const char *arguments)
{
	char output[OUTPUT_MAX];
	int got = postern(state, output, arguments);
	if (got != code || !strstr(output, words))
		fail_msg("postern %s: exit code %d (wanted %d), output lacks '%s':\n%s", arguments, got, code,
		    words, output);
}

static void wrong_usage_is_told_and_ends_with_2(void **state)
{
	(void)state;
	unsetenv("POSTERN_DATABASE");
	says(NULL, 2, "usage: postern COMMAND", "");
	says(NULL, 0, "usage: postern COMMAND", "--help");
	says(NULL, 0, "usage: postern COMMAND", "help");
	says(NULL, 0, "postern 0.", "--version");
	says(NULL, 2, "no command `migrat`", "migrat");
	says(NULL, 2, "POSTERN_DATABASE", "migrate");
	says(NULL, 2, "usage: postern migrate", "migrate now --database=x");
	says(NULL, 2, "usage: postern seal-key new FILE", "seal-key");
	says(NULL, 2, "usage: postern seal-key new FILE", "seal-key old FILE");
	says(NULL, 2, "nope", "migrate --database=x --nope=1");
	says(NULL, 0, "--database", "migrate --help");
	says(NULL, 2, "has no dot", "explain localhost --database=x");
}

static void migrate_says_what_it_did(void **state)
{
	says(state, 0, "applied 0001_base.sql", "migrate --database=\"$database\"");
	says(state, 0, "nothing to do", "migrate --database=\"$database\"");
	says(state, 0, "nothing to do", "migrate --database=\"$database\"");
	says(state, 1, "/nonexistent", "migrate --database='host=/nonexistent user=x'");
}

static void other_commands_want_a_migrated_database(void **state)
{
	says(state, 1, "run `postern migrate`", "status --database=\"$database\"");
	says(state, 1, "run `postern migrate`", "explain a.example.com --database=\"$database\"");
}

static void seal_key_writes_two_files_once(void **state)
{
	(void)state;
	char directory[] = "/tmp/cli_test.XXXXXX";
	char arguments[128];
	char path[64];
	struct stat status;
	assert_non_null(mkdtemp(directory));
	snprintf(arguments, sizeof arguments, "seal-key new %s/key", directory);
	says(NULL, 0, "wrote", arguments);
	says(NULL, 1, "never overwritten", arguments);
	snprintf(path, sizeof path, "%s/key", directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	unlink(path);
	strcat(path, ".pub");
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
	says(NULL, 1, "/nonexistent/key", "seal-key new /nonexistent/key");
}

static void explain_tells_all_of_a_name_and_nothing_of_others(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	char output[OUTPUT_MAX];
	database_run(pg, "INSERT INTO domains (tenant, name, token, status) VALUES"
			 " ('default', 'a.example.com', '" TOKEN
			 "', 'active'), ('default', 'b.example.com', '" TOKEN "', 'pending')");
	database_run(pg, "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, "
			 "serial, directory,"
			 " not_before, not_after, renew_at) VALUES ('a.example.com', 7, '', '', 'k', 'Test "
			 "CA', 'AB12', 'd', now(),"
			 " now() + interval '90 days', now() + interval '60 days')");
	database_run(pg, "SELECT enqueue_issuance('a.example.com', 'renewal')");
	database_run(pg,
	    "INSERT INTO failures (name, cause, retry_at, detail) VALUES ('a.example.com', 'dns', now(),"
	    " 'NXDOMAIN' || chr(27) || '[2J' || chr(10) || 'forged=line')");
	assert_int_equal(postern(state, output, "explain A.Example.com. --database=\"$database\""), 0);
	const char *const wanted[] = {
	    "a.example.com is served; nothing is known to be wrong with it.\n  who_acts=nobody\n",
	    "status=active", "issuer=Test CA", "serial=AB12", "state=queued", "reason=renewal", "cause=dns",
	    "NXDOMAIN\\x1b[2J\\x0aforged=line"};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		if (!strstr(output, wanted[i]))
			fail_msg("lacks '%s':\n%s", wanted[i], output);
	}
	assert_null(strstr(output, "pending"));
	assert_null(strstr(output, TOKEN));
	says(state, 0, "status=pending", "explain b.example.com --database=\"$database\"");
	says(state, 0, "nobody has claimed this name", "explain c.example.com --database=\"$database\"");
}

static void status_counts(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_run(pg,
	    "INSERT INTO domains (tenant, name, token, status) SELECT 'default', 'd' || i || '.example.com', "
	    "'" TOKEN "', CASE WHEN i < 3 THEN 'active' ELSE 'pending' END FROM generate_series(1, 5) i");
	database_run(pg,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at) VALUES ('d1.example.com', 7, '', '', 'k', '', '', '', now(),"
	    " now() + interval '9 days', now() - interval '1 day')");
	database_run(pg, "SELECT enqueue_issuance('d1.example.com', 'renewal')");
	says(state, 0, "version=", "status --database=\"$database\"");
	says(state, 0, "status=active count=2", "status --database=\"$database\"");
	says(state, 0, "status=pending count=3", "status --database=\"$database\"");
	says(state, 0, "stored=1 due=1 expired=0", "status --database=\"$database\"");
	says(state, 0, "state=queued count=1", "status --database=\"$database\"");
	says(state, 0, "name=d1.example.com", "status --database=\"$database\"");
}

#define empty_test(test) cmocka_unit_test_setup_teardown(test, database_setup_empty, database_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_usage_is_told_and_ends_with_2),
	    empty_test(migrate_says_what_it_did),
	    empty_test(other_commands_want_a_migrated_database),
	    cmocka_unit_test(seal_key_writes_two_files_once),
	    database_test(explain_tells_all_of_a_name_and_nothing_of_others),
	    database_test(status_counts),
	};
	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
