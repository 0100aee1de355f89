/*
 * The CAs that this process may use, the preferred first: each with its account and, per thread, a session.
 * One or two; ca_choose.h says which a job goes to.
 */
#ifndef ACME_CA_LIST_H
#define ACME_CA_LIST_H

#include "acme/account/account.h"
#include "acme/ca/ca.h"

enum { CA_MAX = 2 };

struct ca_list {
	size_t count;
	struct ca *cas[CA_MAX];
	struct account *accounts[CA_MAX];
};

/* Takes both over. */
void ca_list_add(struct ca_list *list, struct ca *ca, struct account *account);
void ca_list_fini(struct ca_list *list);
/* Is there one by which certificates can be had? */
bool ca_list_has_account(const struct ca_list *list);
/* `count` where no CA has this directory. */
size_t ca_list_find(const struct ca_list *list, const char *directory);

/* One thread's way to each of them. */
struct ca_sessions {
	size_t count;
	struct ca_session *sessions[CA_MAX];
};
void ca_sessions_init(struct ca_sessions *sessions, const struct ca_list *list);
void ca_sessions_fini(struct ca_sessions *sessions);

#endif
