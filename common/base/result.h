/*
 * What a call came to, as a value. Would-block is a result, not an error; `struct error` carries the sentence
 * for a person, with the place and the mend.
 */
#ifndef COMMON_RESULT_H
#define COMMON_RESULT_H

/* access(2)'s R_OK, which is 4, would take the place of ours wherever its header came second; both headers
 * that define it come first here, since fcntl.h defines it anew where it is missing. A program that wants to
 * know whether it may read a file opens it. */
#include <fcntl.h>
#include <unistd.h>
#undef R_OK

enum result {
	R_OK = 0,
	R_AGAIN,   /* not yet: wait for the descriptor or the time, then call again */
	R_EOF,     /* the peer closed in order */
	R_NONE,    /* no such row, name or entry */
	R_LIMIT,   /* a maximum was reached; nothing was changed */
	R_INVALID, /* the input is wrong; the error says where */
	R_DENIED,  /* a definite no */
	R_TIMEOUT, /* the deadline passed */
	R_DOWN,    /* the other side cannot be reached now; it is worth trying later */
	R_LOST,    /* a lease, fence or version is no longer ours */
	R_ERROR,   /* everything else */
};

/* A sentence for a log line or a person. Always terminated; cut when too long. */
struct error {
	char text[512];
};

/* Both do nothing when `error` is NULL. error_prefix puts "prefix: " before what is there. */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *result_name(enum result result);

#endif
