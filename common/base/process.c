#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

static sigset_t stop_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

/* Keys are in memory: neither a core file nor another process of this user may read it. */
static void refuse_dumps(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void raise_open_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* A descriptor that is opened later must not become standard output, where lines are written to. */
static void open_standard_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	if (fd >= 0)
		close(fd);
}

void process_init(void)
{
	open_standard_descriptors();
	sigset_t set = stop_signals();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	refuse_dumps();
	raise_open_files();
}

static enum result refuse_new_privileges(struct error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return R_OK;
	error_set(error, "cannot refuse new privileges: %s", strerror(errno));
	return R_ERROR;
}

static enum result find_user(
    struct passwd *out, char *storage, size_t size, const char *user, struct error *error)
{
	struct passwd *found = NULL;
	int code = getpwnam_r(user, out, storage, size, &found);
	if (found == NULL) {
		error_set(error, "user: `%s` is not a user of this machine%s%s", user, code ? ": " : "",
		    code ? strerror(code) : "");
		return R_INVALID;
	}
	if (out->pw_uid == 0) {
		error_set(
		    error, "user: `%s` is root, who would keep every right; name an ordinary user", user);
		return R_INVALID;
	}
	return R_OK;
}

/* Asks the kernel, not the return values, whether the old rights are gone for good. */
static bool is_only(const struct passwd *user)
{
	uid_t uid[3];
	gid_t gid[3];
	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != user->pw_uid || gid[i] != user->pw_gid)
			return false;
	return setuid(0) != 0 && seteuid(0) != 0;
}

static enum result become(const struct passwd *user, struct error *error)
{
	if (initgroups(user->pw_name, user->pw_gid) != 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0) {
		error_set(error, "user: cannot become `%s`: %s", user->pw_name, strerror(errno));
		return R_ERROR;
	}
	if (!is_only(user)) {
		error_set(error, "user: some of root's rights stayed after becoming `%s`", user->pw_name);
		return R_ERROR;
	}
	/* The kernel makes a process that changes its user dumpable again where fs.suid_dumpable says so. */
	refuse_dumps();
	return R_OK;
}

enum result process_drop_rights(const char *user, struct error *error)
{
	if (user == NULL)
		return refuse_new_privileges(error);
	struct passwd entry;
	char storage[4096];
	enum result result = find_user(&entry, storage, sizeof storage, user, error);
	if (result != R_OK)
		return result;
	if (geteuid() != 0 && geteuid() != entry.pw_uid) {
		error_set(error, "user: cannot become `%s`: only root may; start as root or leave `user` out",
		    user);
		return R_INVALID;
	}
	if (geteuid() == 0)
		result = become(&entry, error);
	return result == R_OK ? refuse_new_privileges(error) : result;
}

int process_wait_signal(void)
{
	sigset_t set = stop_signals();
	int number = 0;
	while (number <= 0)
		number = sigwaitinfo(&set, NULL);
	return number;
}

void process_random(void *bytes, unsigned long size)
{
	unsigned char *next = bytes;
	while (size > 0) {
		ssize_t got = getrandom(next, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		next += got;
		size -= (unsigned long)got;
	}
}

static char id_text[33];

static void make_id(void)
{
	unsigned char bytes[16];
	process_random(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(id_text + 2 * i, 3, "%02x", bytes[i]);
}

const char *process_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_id);
	return id_text;
}
