/*
 * Replays the inputs that are kept for a harness, so that what fuzzing once found is tested everywhere,
 * without clang: `NAME_fuzz DIRECTORY|FILE...`.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static char current[4096];

static void name_the_input(int number)
{
	static const char words[] = "the input was: ";
	ssize_t ignored = write(2, words, sizeof words - 1);

	ignored = write(2, current, strlen(current));
	ignored = write(2, "\n", 1);
	(void)ignored;
	signal(number, SIG_DFL);
	raise(number);
}

static bool replay_file(const char *path)
{
	struct stat found;
	FILE *file = fopen(path, "rb");

	if (!file || fstat(fileno(file), &found) < 0) {
		perror(path);
		return false;
	}
	size_t size = (size_t)found.st_size;
	uint8_t *bytes = malloc(size + 1);
	bool is_read = bytes && fread(bytes, 1, size, file) == size;
	fclose(file);
	snprintf(current, sizeof current, "%s", path);
	if (is_read)
		LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return is_read;
}

static bool replay_folder(DIR *folder, const char *path, size_t *count)
{
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (!replay_file(name))
			return false;
		++*count;
	}
	return true;
}

static bool replay(const char *path, size_t *count)
{
	DIR *folder = opendir(path);

	if (!folder) {
		++*count;
		return replay_file(path);
	}
	bool done = replay_folder(folder, path, count);
	closedir(folder);
	return done;
}

int main(int argc, char **argv)
{
	const int ends[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
	size_t count = 0;

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		signal(ends[i], name_the_input);
	for (int i = 1; i < argc; i++)
		if (!replay(argv[i], &count))
			return 1;
	if (count == 0) {
		fprintf(stderr, "%s: no input\n", argv[0]);
		return 1;
	}
	printf("[  PASSED  ] %zu input(s).\n", count);
	return 0;
}
