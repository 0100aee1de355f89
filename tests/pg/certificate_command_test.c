/* `postern certificate ...` as an operator runs it: what it stores opens for an edge, what is wrong is told
 * and not stored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/pg/database.h"

enum { OUTPUT_MAX = 16384 };

static char directory[64];

/* A CA with an intermediate, and leaves under it: rsa, p256, p384; `other` is a key of nobody. */
static const char make_files[] =
    "set -e; days=9; cd \"$dir\"; exec >/dev/null 2>&1;"
    "ext() { printf 'basicConstraints=critical,CA:%s\\n%s\\n' \"$1\" \"$2\"; };"
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem"
    " -days 9 -subj /CN=root;"
    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -out mid.csr -subj "
    "/CN=mid;"
    "ext TRUE keyUsage=keyCertSign >mid.ext;"
    "openssl x509 -req -in mid.csr -CA root.pem -CAkey root.key -CAcreateserial -days 9 -extfile mid.ext"
    " -out mid.pem;"
    "leaf() { n=$1 names=$2; shift 2; openssl req -newkey \"$@\" -nodes -keyout $n.key -out $n.csr -subj "
    "/CN=$n;"
    " ext FALSE \"subjectAltName=$names\" >$n.ext;"
    " openssl x509 -req -in $n.csr -CA mid.pem -CAkey mid.key -CAcreateserial -days $days -extfile $n.ext"
    " -out $n.leaf $digest; cat $n.leaf mid.pem root.pem >$n.pem; };"
    "leaf rsa DNS:shop.example.com rsa:2048;"
    "leaf weak DNS:shop.example.com rsa:1024;"
    "leaf p256 DNS:shop.example.com ec -pkeyopt ec_paramgen_curve:P-256;"
    "leaf p384 DNS:shop.example.com ec -pkeyopt ec_paramgen_curve:P-384;"
    "leaf p521 DNS:shop.example.com ec -pkeyopt ec_paramgen_curve:P-521;"
    "leaf wild 'DNS:*.sandbox.example.com,DNS:sandbox.example.com' ec -pkeyopt ec_paramgen_curve:P-256;"
    "digest=-sha1; leaf sha1 DNS:shop.example.com ec -pkeyopt ec_paramgen_curve:P-256; digest=;"
    "cat root.pem mid.pem rsa.leaf >shuffled.pem; cat rsa.leaf p256.leaf >torn.pem;"
    "openssl pkey -in rsa.key -aes128 -passout pass:secret -out locked.key;"
    "days=-1; leaf old DNS:shop.example.com ec -pkeyopt ec_paramgen_curve:P-256";

/* Both streams into `output`; returns the exit code. $db, $dir and $seal may stand in `arguments`. */
static int postern(void **state, char output[OUTPUT_MAX], const char *arguments)
{
	char command[1024];
	const char *build = getenv("BUILD");
	setenv("db", database_conninfo(state, NULL), 1);
	snprintf(command, sizeof command, "%s/postern certificate %s --database=\"$db\" 2>&1",
	    build ? build : "build", arguments);
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
		fail_msg("postern certificate %s: exit code %d (wanted %d), output lacks '%s':\n%s",
		    arguments, got, code, words, output);
}

/* Imports chain and key of that name, for a host name. */
static void import_says(
    void **state, int code, const char *words, const char *name, const char *chain, const char *key)
{
	char arguments[512];
	snprintf(arguments, sizeof arguments,
	    "import '%s' --chain=$dir/%s --key=$dir/%s --seal-public-file=$dir/seal.key.pub", name, chain,
	    key);
	says(state, code, words, arguments);
}

static const char *stored(void **state, const char *expression)
{
	static char text[512];
	char sql[256];
	struct pg *db = database_connect(state, NULL);
	snprintf(sql, sizeof sql, "SELECT (%s)::text FROM certificates", expression);
	snprintf(text, sizeof text, "%s", database_value(db, sql));
	return text;
}

static void imports_rsa_and_ecdsa(void **state)
{
	import_says(state, 0, "stored shop.example.com", "shop.example.com", "rsa.pem", "rsa.key");
	import_says(state, 0, "issued by mid", "Shop.Example.com.", "p256.pem", "p256.key");
	import_says(state, 0, "stored shop.example.com", "shop.example.com", "p384.pem", "p384.key");
	assert_string_equal(
	    stored(state, "concat(source, ' ', renew_at, ' ', version > 2)"), "upload infinity t");
}

static void puts_the_chain_in_order(void **state)
{
	import_says(state, 0, "stored", "shop.example.com", "shuffled.pem", "rsa.key");
	assert_string_equal(stored(state, "issuer"), "mid");
}

static void wildcard_is_for_its_own_name(void **state)
{
	import_says(
	    state, 0, "stored *.sandbox.example.com", "*.sandbox.example.com", "wild.pem", "wild.key");
	import_says(state, 1, "not for *.example.com", "*.example.com", "wild.pem", "wild.key");
	import_says(state, 2, "public suffix", "*.co.uk", "wild.pem", "wild.key");
}

static void what_is_wrong_is_told_and_not_stored(void **state)
{
	static const struct {
		const char *words, *name, *chain, *key;
	} cases[] = {
	    {"no certificate in the chain is for this private key", "shop.example.com", "rsa.pem",
		"p256.key"},
	    {"is not for www.example.com", "www.example.com", "rsa.pem", "rsa.key"},
	    {"signs nothing in it", "shop.example.com", "torn.pem", "rsa.key"},
	    {"RSA from 2,048 to 4,096 bits, P-256 or P-384", "shop.example.com", "weak.pem", "weak.key"},
	    {"RSA from 2,048 to 4,096 bits, P-256 or P-384", "shop.example.com", "p521.pem", "p521.key"},
	    {"too weak a signature", "shop.example.com", "sha1.pem", "sha1.key"},
	    {"expired at", "shop.example.com", "old.pem", "old.key"},
	    {"is encrypted", "shop.example.com", "rsa.pem", "locked.key"},
	    {"no private key in PEM form", "shop.example.com", "rsa.pem", "rsa.pem"},
	    {"private key, which belongs elsewhere", "shop.example.com", "rsa.key", "rsa.key"},
	    {"no certificate", "shop.example.com", "mid.ext", "rsa.key"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		import_says(state, 1, cases[i].words, cases[i].name, cases[i].chain, cases[i].key);
	import_says(state, 2, "has no dot", "localhost", "rsa.pem", "rsa.key");
	says(state, 2, "nothere", "import shop.example.com --chain=$dir/nothere --key=$dir/rsa.key");
	says(state, 2, "--chain", "import shop.example.com --key=$dir/rsa.key");
	says(state, 1, "seal-public-file", "import shop.example.com --chain=$dir/rsa.pem --key=$dir/rsa.key");
	assert_string_equal(
	    database_value(database_connect(state, NULL), "SELECT count(*)::text FROM certificates"), "0");
}

static void issue_asks_for_nothing_that_is_there_or_not_allowed(void **state)
{
	struct pg *db = database_connect(state, NULL);
	import_says(state, 0, "stored", "*.sandbox.example.com", "wild.pem", "wild.key");
	says(
	    state, 0, "nothing to do: the stored certificate is good until", "issue '*.sandbox.example.com'");
	database_run(db, "INSERT INTO domains (tenant, name, token) VALUES ('default', "
			 "'*.claimed.example.com', repeat('x', 32))");
	says(state, 1, "claim of this name is active", "issue '*.claimed.example.com'");
	says(state, 2, "public suffix", "issue '*.co.uk'");
	assert_string_equal(database_value(db, "SELECT count(*)::text FROM issuance_jobs"), "0");
}

static void a_key_that_others_know_is_not_stored_again(void **state)
{
	char hash[65] = "";
	FILE *pipe = popen("openssl pkey -in \"$dir/p256.key\" -pubout -outform DER | sha256sum", "r");
	assert_non_null(pipe);
	assert_int_equal(fread(hash, 1, 64, pipe), 64);
	pclose(pipe);
	struct pg *admin = database_connect(state, NULL);
	database_run(admin, "INSERT INTO barred_keys (spki_sha256) VALUES (decode($1, 'hex'))", hash);
	import_says(state, 1, "others know the key", "shop.example.com", "p256.pem", "p256.key");
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "0");
	import_says(state, 0, "stored", "shop.example.com", "rsa.pem", "rsa.key");
}

static void lists_and_shows_without_keys(void **state)
{
	import_says(state, 0, "stored", "shop.example.com", "rsa.pem", "rsa.key");
	says(state, 0, "name=shop.example.com source=upload issuer=mid", "list");
	says(state, 0, "dns=shop.example.com", "show shop.example.com");
	says(state, 0, "key=RSA/2048", "show shop.example.com");
	says(state, 1, "no certificate is stored", "show www.example.com");
	says(state, 2, "has no dot", "show localhost");
}

static void export_gives_back_what_was_imported(void **state)
{
	static const char *const kinds[] = {"rsa", "p256", "p384"};
	char command[512], chain[64], key[64];
	struct stat status;
	for (size_t i = 0; i < 3; i++) {
		snprintf(chain, sizeof chain, "%s.pem", kinds[i]);
		snprintf(key, sizeof key, "%s.key", kinds[i]);
		import_says(state, 0, "stored", "shop.example.com", chain, key);
		snprintf(command, sizeof command,
		    "export shop.example.com --chain=$dir/out.%s --key=$dir/outkey.%s "
		    "--seal-key-file=$dir/seal.key",
		    kinds[i], kinds[i]);
		says(state, 0, "wrote", command);
		snprintf(command, sizeof command,
		    "cd \"$dir\" && cmp %s.pem out.%s && openssl pkey -in %s.key -outform DER -out a &&"
		    " openssl pkey -in outkey.%s -outform DER -out b && cmp a b",
		    kinds[i], kinds[i], kinds[i], kinds[i]);
		assert_int_equal(system(command), 0);
	}
	snprintf(command, sizeof command, "%s/outkey.rsa", directory);
	assert_int_equal(stat(command, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	says(state, 1, "is not overwritten",
	    "export shop.example.com --chain=$dir/out.rsa --key=$dir/new --seal-key-file=$dir/seal.key");
	says(state, 1, "is not overwritten",
	    "export shop.example.com --chain=$dir/new --key=$dir/outkey.rsa --seal-key-file=$dir/seal.key");
	snprintf(command, sizeof command, "%s/new", directory);
	assert_int_not_equal(access(command, F_OK), 0);
}

static void removes_only_what_was_imported(void **state)
{
	import_says(state, 0, "stored", "shop.example.com", "rsa.pem", "rsa.key");
	says(state, 0, "removed", "remove shop.example.com");
	says(state, 1, "no certificate is stored", "remove shop.example.com");
	import_says(state, 0, "stored", "shop.example.com", "rsa.pem", "rsa.key");
	database_run(database_connect(state, NULL), "UPDATE certificates SET source = 'acme'");
	says(state, 1, "the issuer looks after it", "remove shop.example.com");
}

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/postern-certificate.XXXXXX");
	assert_non_null(mkdtemp(directory));
	setenv("dir", directory, 1);
	assert_int_equal(system(make_files), 0);
	char command[256];
	const char *build = getenv("BUILD");
	snprintf(command, sizeof command, "%s/postern seal-key new $dir/seal.key >/dev/null",
	    build ? build : "build");
	assert_int_equal(system(command), 0);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return system("rm -rf \"$dir\"");
}

#define command_test(test) cmocka_unit_test_setup_teardown(test, database_setup, database_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    command_test(imports_rsa_and_ecdsa),
	    command_test(puts_the_chain_in_order),
	    command_test(wildcard_is_for_its_own_name),
	    command_test(what_is_wrong_is_told_and_not_stored),
	    command_test(a_key_that_others_know_is_not_stored_again),
	    command_test(issue_asks_for_nothing_that_is_there_or_not_allowed),
	    command_test(lists_and_shows_without_keys),
	    command_test(export_gives_back_what_was_imported),
	    command_test(removes_only_what_was_imported),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
