#include "common/seal/seal_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/seal/seal_memory.h"

/* 32 bytes are 44 characters of base64; a line is a word, an id and those. */
enum {
	FILE_MAX = 16 * 1024,
	BASE64_SIZE = 44,
	PATH_MAX_HERE = 4000,
	SECRETS_SIZE = SEAL_KEYS_MAX * HPKE_KEY_SIZE
};

#define SECRET_WORD "postern-seal-key"
#define PUBLIC_WORD "postern-seal-public"

static bool id_of(const unsigned char public[HPKE_KEY_SIZE], unsigned char id[SEAL_ID_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	if (EVP_Digest(public, HPKE_KEY_SIZE, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(id, digest, SEAL_ID_SIZE);
	return true;
}

static void hex_of(const unsigned char id[SEAL_ID_SIZE], char text[2 * SEAL_ID_SIZE + 1])
{
	for (size_t i = 0; i < SEAL_ID_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* `text` need not end after the 44 characters; false unless they are exactly 32 bytes. */
static bool decode_key(const char *text, unsigned char key[HPKE_KEY_SIZE])
{
	unsigned char decoded[BASE64_SIZE];
	bool ok = text[BASE64_SIZE - 1] == '=' && text[BASE64_SIZE - 2] != '=' &&
		  EVP_DecodeBlock(decoded, (const unsigned char *)text, BASE64_SIZE) == HPKE_KEY_SIZE + 1;
	if (ok)
		memcpy(key, decoded, HPKE_KEY_SIZE);
	OPENSSL_cleanse(decoded, sizeof decoded);
	return ok;
}

/* `ID BASE64`, the rest of a line after its first word. */
static const char *parse_key(struct seal_keys *keys, char *rest)
{
	char *id_text = strtok_r(NULL, " \t", &rest);
	char *key_text = strtok_r(NULL, " \t", &rest);
	if (!id_text || !key_text || strtok_r(NULL, " \t", &rest))
		return "wants an id and a key after its first word";
	if (keys->count == SEAL_KEYS_MAX)
		return "is one key too many (32 at most): retire the oldest";
	struct seal_key *key = &keys->keys[keys->count];
	unsigned char *into = keys->secrets ? keys->secrets[keys->count] : key->public;
	if (strlen(key_text) != BASE64_SIZE || !decode_key(key_text, into))
		return "has a key that is not 32 bytes in base64";
	char expected[2 * SEAL_ID_SIZE + 1];
	if ((keys->secrets && !hpke_public_of(into, key->public)) || !id_of(key->public, key->id))
		return "has a key that OpenSSL does not take";
	hex_of(key->id, expected);
	if (strcmp(id_text, expected) != 0)
		return "has an id that is not its key's: the line was changed";
	keys->count++;
	return NULL;
}

static const char *parse_line(struct seal_keys *keys, char *line)
{
	char *rest = NULL;
	char *word = strtok_r(line, " \t", &rest);
	if (!word || *word == '#')
		return NULL;
	const char *wanted = keys->secrets ? SECRET_WORD : PUBLIC_WORD;
	if (!strcmp(word, wanted))
		return parse_key(keys, rest);
	if (!strcmp(word, SECRET_WORD))
		return "holds a secret key: this program only seals, give it the file that ends in .pub";
	if (!strcmp(word, PUBLIC_WORD))
		return "holds a public key: this program opens, give it the file without .pub";
	return "is not a key that `postern seal-key new` wrote";
}

static enum result parse_file(struct seal_keys *keys, const char *path, char *text, struct error *error)
{
	int number = 0;
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		number++;
		line[strcspn(line, "\r")] = 0;
		const char *problem = parse_line(keys, line);
		if (problem) {
			error_set(error, "%s line %d %s", path, number, problem);
			return R_INVALID;
		}
	}
	if (keys->count == 0) {
		error_set(error, "%s holds no key: make one with `postern seal-key new FILE`", path);
		return R_INVALID;
	}
	hex_of(keys->keys[0].id, keys->first_id);
	return R_OK;
}

/* Reads into `text`, which has FILE_MAX + 1 bytes. */
static enum result read_file(const char *path, bool secret, char *text, struct error *error)
{
	enum result result = R_INVALID;
	int fd = -1;
	struct stat status;
	if (file_open(&fd, path, error) != R_OK)
		goto out;
	if (fstat(fd, &status) != 0) {
		error_set(error, "cannot read %s: %s", path, strerror(errno));
		goto out;
	}
	if (secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		error_set(error,
		    "%s may be read or changed by others than its owner (mode %04o): chmod 600 it", path,
		    (unsigned)status.st_mode & 07777);
		goto out;
	}
	size_t size = 0;
	ssize_t got = 0;
	while (size <= FILE_MAX && (got = file_read_some(fd, text + size, FILE_MAX + 1 - size)) > 0)
		size += (size_t)got;
	if (got < 0) {
		error_set(error, "cannot read %s: %s", path, strerror(errno));
		goto out;
	}
	if (size > FILE_MAX || memchr(text, 0, size)) {
		error_set(error, "%s is not a key file", path);
		goto out;
	}
	text[size] = 0;
	result = R_OK;
out:
	if (fd >= 0)
		close(fd);
	return result;
}

static enum result load(struct seal_keys **out, const char *path, bool secret, struct error *error)
{
	*out = NULL;
	struct seal_keys *keys = mem_alloc(sizeof *keys);
	pthread_rwlock_init(&keys->lock, NULL);
	if (secret)
		keys->secrets = seal_memory_new(SECRETS_SIZE);
	char *text = seal_memory_new(FILE_MAX + 1);
	enum result result = read_file(path, secret, text, error);
	if (result == R_OK)
		result = parse_file(keys, path, text, error);
	seal_memory_free(text, FILE_MAX + 1);
	if (result != R_OK) {
		seal_keys_free(keys);
		return result;
	}
	*out = keys;
	return R_OK;
}

enum result seal_keys_load_secret(struct seal_keys **out, const char *path, struct error *error)
{
	return load(out, path, true, error);
}

enum result seal_keys_load_public(struct seal_keys **out, const char *path, struct error *error)
{
	return load(out, path, false, error);
}

void seal_keys_free(struct seal_keys *keys)
{
	if (!keys)
		return;
	seal_memory_free(keys->secrets, SECRETS_SIZE);
	pthread_rwlock_destroy(&keys->lock);
	free(keys);
}

void seal_keys_replace(struct seal_keys *keys, struct seal_keys **fresh)
{
	struct seal_keys *other = *fresh;
	unsigned char(*secrets)[HPKE_KEY_SIZE] = keys->secrets;

	pthread_rwlock_wrlock(&keys->lock);
	memcpy(keys->keys, other->keys, sizeof keys->keys);
	memcpy(keys->first_id, other->first_id, sizeof keys->first_id);
	keys->count = other->count;
	keys->secrets = other->secrets;
	pthread_rwlock_unlock(&keys->lock);
	other->secrets = secrets;
	seal_keys_free(other);
	*fresh = NULL;
}

const char *seal_keys_id(const struct seal_keys *keys)
{
	return keys->first_id;
}

/* A new file, on disk when this returns. */
static enum result write_line(const char *path, mode_t mode, const char *word, const char *id,
    const unsigned char key[HPKE_KEY_SIZE], struct error *error)
{
	char base64[BASE64_SIZE + 1];
	char line[128];
	EVP_EncodeBlock((unsigned char *)base64, key, HPKE_KEY_SIZE);
	int size = snprintf(line, sizeof line, "%s %s %s\n", word, id, base64);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool ok = fd >= 0 && write(fd, line, (size_t)size) == size && fsync(fd) == 0;
	int why = errno;
	if (fd >= 0 && close(fd) != 0)
		ok = false;
	OPENSSL_cleanse(base64, sizeof base64);
	OPENSSL_cleanse(line, sizeof line);
	if (ok)
		return R_OK;
	if (fd < 0 && why == EEXIST)
		error_set(
		    error, "%s exists: a key is never overwritten, since what it sealed would be lost", path);
	else
		error_set(error, "cannot write %s: %s", path, strerror(why));
	if (fd >= 0)
		unlink(path);
	return R_INVALID;
}

enum result seal_key_create(const char *path, struct error *error)
{
	char public_path[PATH_MAX_HERE + 8];
	if (strlen(path) > PATH_MAX_HERE) {
		error_set(error, "the path of the key file is too long");
		return R_INVALID;
	}
	snprintf(public_path, sizeof public_path, "%s.pub", path);
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unsigned char id[SEAL_ID_SIZE];
	char hex[2 * SEAL_ID_SIZE + 1];
	if (!hpke_generate(secret, public) || !id_of(public, id)) {
		error_set(error, "OpenSSL could not make a key");
		return R_ERROR;
	}
	hex_of(id, hex);
	enum result result = write_line(path, 0600, SECRET_WORD, hex, secret, error);
	OPENSSL_cleanse(secret, sizeof secret);
	if (result != R_OK)
		return result;
	result = write_line(public_path, 0644, PUBLIC_WORD, hex, public, error);
	if (result != R_OK)
		unlink(path);
	return result;
}
