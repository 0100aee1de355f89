/* Sealing: key files with everything that can be wrong about them, and blobs that open only where they
 * belong. */
#include "common/seal/seal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PATH_SIZE = 256, TEXT_SIZE = 1024 };

struct files {
	char directory[64];
	char key[PATH_SIZE / 2];
	char public[PATH_SIZE / 2 + 8];
};

static int setup(void **state)
{
	struct files *files = calloc(1, sizeof *files);
	struct error error;
	strcpy(files->directory, "/tmp/seal_test.XXXXXX");
	assert_non_null(mkdtemp(files->directory));
	snprintf(files->key, sizeof files->key, "%s/key", files->directory);
	snprintf(files->public, sizeof files->public, "%s.pub", files->key);
	if (seal_key_create(files->key, &error) != R_OK)
		fail_msg("%s", error.text);
	*state = files;
	return 0;
}

static int teardown(void **state)
{
	struct files *files = *state;
	unlink(files->key);
	unlink(files->public);
	if (rmdir(files->directory) != 0)
		fail_msg("something was left in %s", files->directory);
	free(files);
	return 0;
}

static void read_text(const char *path, char text[TEXT_SIZE])
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t size = fread(text, 1, TEXT_SIZE - 1, file);
	text[size] = 0;
	fclose(file);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static struct seal_keys *load_secret(const char *path)
{
	struct seal_keys *keys = NULL;
	struct error error;
	if (seal_keys_load_secret(&keys, path, &error) != R_OK)
		fail_msg("%s", error.text);
	return keys;
}

static struct seal_keys *load_public(const char *path)
{
	struct seal_keys *keys = NULL;
	struct error error;
	if (seal_keys_load_public(&keys, path, &error) != R_OK)
		fail_msg("%s", error.text);
	return keys;
}

static void refused(const char *path, const char *text, const char *complaint)
{
	struct seal_keys *keys = NULL;
	struct error error;
	write_text(path, text);
	assert_int_equal(seal_keys_load_secret(&keys, path, &error), R_INVALID);
	assert_null(keys);
	if (!strstr(error.text, complaint) || !strstr(error.text, path))
		fail_msg("'%s' lacks the path or '%s'", error.text, complaint);
}

static const struct seal_place place = {"certificate_key", "shop.example.com", 7};

static void seal_to(struct buf *blob, const struct seal_keys *keys, const char *text)
{
	struct error error;
	buf_init(blob, SEAL_PLAINTEXT_MAX + SEAL_OVERHEAD);
	if (seal_bytes(keys, &place, text, strlen(text), blob, &error) != R_OK)
		fail_msg("%s", error.text);
}

static enum result open_at(
    const struct seal_keys *keys, const struct seal_place *at, struct buf *blob, struct error *error)
{
	struct buf plain;
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	enum result result = seal_open(keys, at, buf_bytes(blob), buf_size(blob), &plain, error);
	if (result == R_OK)
		assert_string_equal(buf_string(&plain), "secret text");
	else
		assert_int_equal(buf_size(&plain), 0);
	buf_wipe(&plain);
	return result;
}

static void what_the_public_file_seals_the_secret_file_opens(void **state)
{
	struct files *files = *state;
	struct seal_keys *public = load_public(files->public);
	struct seal_keys *secret = load_secret(files->key);
	struct buf blob;
	struct error error;
	seal_to(&blob, public, "secret text");
	assert_int_equal(buf_size(&blob), strlen("secret text") + SEAL_OVERHEAD);
	assert_int_equal(open_at(secret, &place, &blob, &error), R_OK);
	assert_string_equal(seal_keys_id(public), seal_keys_id(secret));
	assert_int_equal(strlen(seal_keys_id(public)), 16);
	assert_int_equal(open_at(public, &place, &blob, &error), R_INVALID);
	buf_fini(&blob);
	seal_keys_free(public);
	seal_keys_free(secret);
}

static void blob_opens_in_its_own_row_only(void **state)
{
	struct files *files = *state;
	struct seal_keys *keys = load_secret(files->key);
	struct buf blob;
	struct error error;
	seal_to(&blob, keys, "secret text");
	const struct seal_place others[] = {
	    {"certificate_key", "shop.example.org", 7},
	    {"certificate_key", "shop.example.com", 8},
	    {"issuance_key", "shop.example.com", 7},
	    {"certificate_ke", "yshop.example.com", 7},
	    {"certificate_key", "", 7},
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(open_at(keys, &others[i], &blob, &error), R_INVALID);
	assert_non_null(strstr(error.text, "moved"));
	assert_int_equal(open_at(keys, &place, &blob, &error), R_OK);
	buf_fini(&blob);
	seal_keys_free(keys);
}

static void damaged_blobs_are_refused(void **state)
{
	struct files *files = *state;
	struct seal_keys *keys = load_secret(files->key);
	struct buf blob;
	struct buf plain;
	struct error error;
	seal_to(&blob, keys, "secret text");
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	size_t size = buf_size(&blob);
	unsigned char *bytes = (unsigned char *)blob.data + blob.start;
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(seal_open(keys, &place, bytes, cut, &plain, &error), R_INVALID);
	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= 0x80;
		assert_int_equal(seal_open(keys, &place, bytes, size, &plain, &error), R_INVALID);
		bytes[i] ^= 0x80;
	}
	assert_int_equal(buf_size(&plain), 0);
	assert_int_equal(seal_open(keys, &place, bytes, size, &plain, &error), R_OK);
	buf_fini(&plain);
	buf_fini(&blob);
	seal_keys_free(keys);
}

/* Rotation: the new key is put first, the old stays below until all is sealed anew. */
static void first_key_seals_and_all_open(void **state)
{
	struct files *files = *state;
	char old_line[TEXT_SIZE];
	char new_line[TEXT_SIZE];
	char both[2 * TEXT_SIZE + 64];
	char new_path[PATH_SIZE];
	char new_public[PATH_SIZE + 8];
	struct error error;
	struct buf old_blob;
	struct buf new_blob;
	snprintf(new_path, sizeof new_path, "%s/new", files->directory);
	snprintf(new_public, sizeof new_public, "%s.pub", new_path);
	assert_int_equal(seal_key_create(new_path, &error), R_OK);
	read_text(files->key, old_line);
	read_text(new_path, new_line);
	struct seal_keys *old = load_secret(files->key);
	seal_to(&old_blob, old, "secret text");
	snprintf(both, sizeof both, "# rotated\n\n%s%s", new_line, old_line);
	write_text(files->key, both);
	struct seal_keys *keys = load_secret(files->key);
	struct seal_keys *new = load_secret(new_path);
	assert_string_equal(seal_keys_id(keys), seal_keys_id(new));
	seal_to(&new_blob, keys, "secret text");
	assert_int_equal(open_at(keys, &place, &old_blob, &error), R_OK);
	assert_int_equal(open_at(keys, &place, &new_blob, &error), R_OK);
	assert_int_equal(open_at(old, &place, &new_blob, &error), R_INVALID);
	assert_non_null(strstr(error.text, "not in the key file"));
	seal_keys_replace(old, &new);
	assert_null(new);
	assert_int_equal(open_at(old, &place, &new_blob, &error), R_OK);
	assert_int_equal(open_at(old, &place, &old_blob, &error), R_INVALID);
	assert_string_equal(seal_keys_id(old), seal_keys_id(keys));
	seal_keys_free(old);
	seal_keys_free(keys);
	buf_fini(&old_blob);
	buf_fini(&new_blob);
	unlink(new_path);
	unlink(new_public);
}

static void new_key_files_have_the_right_modes(void **state)
{
	struct files *files = *state;
	struct stat status;
	assert_int_equal(stat(files->key, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(files->public, &status), 0);
	assert_int_equal(status.st_mode & S_IRUSR, S_IRUSR);
}

static void existing_key_is_never_overwritten(void **state)
{
	struct files *files = *state;
	char before[TEXT_SIZE];
	char after[TEXT_SIZE];
	struct error error;
	read_text(files->key, before);
	assert_int_equal(seal_key_create(files->key, &error), R_INVALID);
	assert_non_null(strstr(error.text, "never overwritten"));
	read_text(files->key, after);
	assert_string_equal(before, after);
	unlink(files->key);
	assert_int_equal(seal_key_create(files->key, &error), R_INVALID); /* the .pub is still there */
	assert_int_equal(access(files->key, F_OK), -1);
}

static void secret_that_others_may_read_is_refused(void **state)
{
	struct files *files = *state;
	const mode_t modes[] = {0640, 0604, 0660, 0601, 0666};
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		struct seal_keys *keys = NULL;
		struct error error;
		chmod(files->key, modes[i]);
		assert_int_equal(seal_keys_load_secret(&keys, files->key, &error), R_INVALID);
		assert_non_null(strstr(error.text, "chmod 600"));
	}
	chmod(files->key, 0400);
	seal_keys_free(load_secret(files->key));
}

static void files_mixed_up_are_told_apart(void **state)
{
	struct files *files = *state;
	struct seal_keys *keys = NULL;
	struct error error;
	assert_int_equal(seal_keys_load_public(&keys, files->key, &error), R_INVALID);
	assert_non_null(strstr(error.text, ".pub"));
	chmod(files->public, 0600);
	assert_int_equal(seal_keys_load_secret(&keys, files->public, &error), R_INVALID);
	assert_non_null(strstr(error.text, "public key"));
}

static void broken_key_files_are_refused_with_their_line(void **state)
{
	struct files *files = *state;
	char good[TEXT_SIZE];
	char text[2 * TEXT_SIZE];
	read_text(files->key, good);
	refused(files->key, "", "holds no key");
	refused(files->key, "# only a comment\n", "holds no key");
	refused(files->key, "\n\nhello\n", "line 3");
	refused(files->key, "postern-seal-key\n", "line 1 wants an id and a key");
	refused(files->key, "postern-seal-key 0011223344556677\n", "line 1 wants");
	refused(files->key, "postern-seal-key 0011223344556677 AAAA\n", "not 32 bytes");
	snprintf(text, sizeof text, "%s", good);
	text[strlen("postern-seal-key ")] ^= 1; /* another id */
	refused(files->key, text, "line 1 has an id that is not its key's");
	snprintf(text, sizeof text, "%s", good);
	text[strlen(text) - 10] = '*';
	refused(files->key, text, "line 1 has a key that is not 32 bytes");
	snprintf(text, sizeof text, "%.*s more\n", (int)strlen(good) - 1, good);
	refused(files->key, text, "line 1 wants");
}

static void missing_and_overlong_files_are_refused(void **state)
{
	struct files *files = *state;
	struct seal_keys *keys = NULL;
	struct error error;
	assert_int_equal(seal_keys_load_secret(&keys, "/nonexistent/key", &error), R_INVALID);
	assert_non_null(strstr(error.text, "/nonexistent/key"));
	FILE *file = fopen(files->key, "w");
	for (int i = 0; i < 20000; i++)
		fputs("#\n", file);
	fclose(file);
	assert_int_equal(seal_keys_load_secret(&keys, files->key, &error), R_INVALID);
	assert_non_null(strstr(error.text, "not a key file"));
}

static void too_much_is_refused_and_nothing_written(void **state)
{
	struct files *files = *state;
	struct seal_keys *keys = load_secret(files->key);
	struct error error;
	struct buf blob;
	char *much = calloc(1, SEAL_PLAINTEXT_MAX + 1);
	buf_init(&blob, 2 * SEAL_PLAINTEXT_MAX);
	assert_int_equal(seal_bytes(keys, &place, much, SEAL_PLAINTEXT_MAX + 1, &blob, &error), R_LIMIT);
	assert_int_equal(buf_size(&blob), 0);
	assert_int_equal(seal_bytes(keys, &place, much, SEAL_PLAINTEXT_MAX, &blob, &error), R_OK);
	buf_fini(&blob);
	buf_init(&blob, 40);
	assert_int_equal(seal_bytes(keys, &place, "x", 1, &blob, &error), R_LIMIT);
	assert_int_equal(buf_size(&blob), 0);
	buf_fini(&blob);
	free(much);
	seal_keys_free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		what_the_public_file_seals_the_secret_file_opens, setup, teardown),
	    cmocka_unit_test_setup_teardown(blob_opens_in_its_own_row_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_blobs_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(first_key_seals_and_all_open, setup, teardown),
	    cmocka_unit_test_setup_teardown(new_key_files_have_the_right_modes, setup, teardown),
	    cmocka_unit_test_setup_teardown(existing_key_is_never_overwritten, setup, teardown),
	    cmocka_unit_test_setup_teardown(secret_that_others_may_read_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_mixed_up_are_told_apart, setup, teardown),
	    cmocka_unit_test_setup_teardown(broken_key_files_are_refused_with_their_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(missing_and_overlong_files_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(too_much_is_refused_and_nothing_written, setup, teardown),
	};
	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
