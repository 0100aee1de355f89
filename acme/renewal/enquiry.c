#include "acme/renewal/enquiry.h"

#include <stdlib.h>

#include "acme/proof/persist_watch.h"
#include "acme/renewal/renewal_info.h"
#include "common/base/mem.h"
#include "common/daemon/background.h"
#include "common/log/log.h"
#include "common/pg/schema.h"

enum { ROUND_MS = 1000, CONNECT_MS = 2000, QUERY_MS = 5000 };

struct enquiry {
	struct background *thread;
	struct pg *pg;
	const struct ca_list *cas;
	struct lookup *lookup;
	struct ca_sessions sessions;
	bool has_names[CA_MAX]; /* its names in records are in the database, since this process started */
	bool has_schema;
};

static void ask_about_renewals(struct enquiry *enquiry)
{
	struct error error = {0};
	if (renewal_info_step(enquiry->pg, enquiry->cas, &enquiry->sessions, &error) != R_OK)
		log_warn("cannot look which certificates to ask the CA about", log_str("error", error.text));
}

static void watch_records(struct enquiry *enquiry)
{
	struct error error = {0};
	if (persist_watch_step(enquiry->pg, enquiry->lookup, &error) != R_OK)
		log_warn("cannot look after dns-persist-01 records", log_str("error", error.text));
}

/* The first job shall not wait for the account. */
static void seek_account(struct enquiry *enquiry)
{
	struct account_view view;
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	struct error error = {0};
	if (account_is_known(enquiry->cas->accounts[0]))
		return;
	account_get(
	    enquiry->cas->accounts[0], enquiry->sessions.sessions[0], enquiry->pg, &view, &failure, &error);
	account_view_fini(&view);
}

/* How records name the CA: the operator's command tells customers, who speaks to no CA. */
static enum result note_issuer_names(
    struct enquiry *enquiry, size_t at, const struct acme_directory *directory, struct error *error)
{
	const char *names[ACME_CAA_IDENTITIES_MAX];
	for (size_t i = 0; i < directory->caa_identity_count; i++)
		names[i] = directory->caa_identities[i];
	char *array = pg_text_array(names, directory->caa_identity_count);
	enum result result = pg_run(enquiry->pg, QUERY_MS, NULL, error,
	    "UPDATE ca_accounts SET issuer_names = $2::text[] WHERE directory = $1"
	    " AND issuer_names <> $2::text[]",
	    pg_text(ca_directory_url(enquiry->cas->cas[at])), pg_text(array));
	free(array);
	return result;
}

static void learn_issuer_names(struct enquiry *enquiry)
{
	for (size_t at = 0; at < enquiry->cas->count; at++) {
		struct acme_directory directory;
		struct acme_failure failure;
		struct error error = {0};
		if (enquiry->has_names[at] || !account_is_known(enquiry->cas->accounts[at]) ||
		    ca_directory(enquiry->sessions.sessions[at], &directory, &failure) != R_OK)
			continue;
		enquiry->has_names[at] = note_issuer_names(enquiry, at, &directory, &error) == R_OK;
	}
}

static int64_t round_of(void *arg, struct background *self)
{
	struct enquiry *enquiry = arg;
	(void)self;
	if (!schema_is_ready(enquiry->pg, CONNECT_MS, &enquiry->has_schema))
		return ROUND_MS;
	seek_account(enquiry);
	learn_issuer_names(enquiry);
	watch_records(enquiry);
	ask_about_renewals(enquiry);
	return ROUND_MS;
}

struct enquiry *enquiry_start(const char *database, const struct ca_list *cas, struct lookup *lookup)
{
	struct enquiry *enquiry = mem_alloc(sizeof *enquiry);
	enquiry->pg = pg_new(database, "postern-acme-enquiry");
	ca_sessions_init(&enquiry->sessions, cas);
	enquiry->cas = cas;
	enquiry->lookup = lookup;
	enquiry->thread = background_start("enquiry", round_of, enquiry);
	return enquiry;
}

void enquiry_stop(struct enquiry *enquiry)
{
	if (!enquiry)
		return;
	background_stop(enquiry->thread);
	ca_sessions_fini(&enquiry->sessions);
	pg_free(enquiry->pg);
	free(enquiry);
}
