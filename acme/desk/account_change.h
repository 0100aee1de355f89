/*
 * What the operator does to the account as a whole: another key, an end, a new beginning. Each holds the
 * account row's lease, so that one instance does it and none registers meanwhile; the others notice at their
 * next order. What a task's owner had done when it died is not done again.
 */
#ifndef ACME_ACCOUNT_CHANGE_H
#define ACME_ACCOUNT_CHANGE_H

#include "acme/account/account_row.h"
#include "acme/ca/ca.h"
#include "acme/desk/ca_task.h"

struct account_change {
	const struct ca *ca;
	struct ca_task *task;
	struct ca_session *session;
	struct account_db db;
	int64_t lease_ms;
};

/* RFC 8555 section 7.3.5. The new key is stored beside the old one before the CA hears of it; where it is not
 * known what the CA did (an answer lost, a process killed), both keys are shown to it, and the one that it
 * knows stays. R_OK: the account has a new key. R_AGAIN: another process has the row. R_ERROR: the old key is
 * in use, or not known which; the next call finds out. */
enum result account_roll_key(struct account_change *change);
/* Section 7.3.6. The certificates stay valid; nothing more is issued. */
enum result account_deactivate(struct account_change *change);
/* A new account, with a new key, is made when it is needed next. */
enum result account_begin_anew(struct account_change *change);

#endif
