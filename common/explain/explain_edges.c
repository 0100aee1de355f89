#include "common/explain/explain_edges.h"

#include <stddef.h>
#include <string.h>

#include "common/explain/explain_sql.h"
#include "common/pg/pg.h"

const char explain_edges_ask_sql[] =
    "SELECT clock_timestamp()::text, pg_notify('postern_explain', $2) WHERE " EXPLAIN_OWNED;

#define ANSWER "h.node = n.id AND h.name = $2 AND h.answered_at >= $3::timestamptz"

const char explain_edges_missing_sql[] =
    "SELECT count(*) FROM nodes n WHERE n.role = 'edge' AND node_is_alive(n.seen_at) AND " EXPLAIN_OWNED
    " AND NOT EXISTS (SELECT 1 FROM handshakes h WHERE " ANSWER ")";

#define NODE \
	"CASE WHEN $1::text IS NULL THEN n.id ELSE 'edge ' || row_number() OVER (ORDER BY n.id) END AS node"
#define OF_EDGES \
	" FROM nodes n LEFT JOIN handshakes h ON " ANSWER " WHERE n.role = 'edge' AND " EXPLAIN_OWNED \
	" AND ($1::text IS NULL OR h.seen IS NOT NULL)"

const char explain_edges_sql[] = "SELECT " NODE ", node_is_alive(n.seen_at) AS alive, " PG_UTC(
    "h.answered_at") " AS answered_at, h.seen" OF_EDGES " ORDER BY n.id LIMIT 500";

const char explain_refusals_sql[] = "SELECT e.node, " PG_UTC(
    "r.last_at") " AS at, r.cause"
		 " FROM (SELECT " NODE ", n.seen_at, h.seen" OF_EDGES ") AS e,"
		 " json_to_recordset(e.seen->'refusals') AS r (cause text, last_at timestamptz)"
		 " WHERE node_is_alive(e.seen_at) AND r.cause <> 'address' AND r.last_at > now() - interval "
		 "'1 day'"
		 " AND r.last_at > COALESCE((e.seen->>'last_at')::timestamptz, '-infinity')"
		 " AND r.last_at > ALL (SELECT c.stored_at FROM certificates c WHERE " EXPLAIN_SERVES("c",
		     "$2") ")"
			   " AND r.last_at > ALL (SELECT d.status_changed_at FROM domains d WHERE d.name = $2"
			   "   AND d.status IN ('active', 'drifted', 'suspended'))"
			   " ORDER BY r.last_at DESC LIMIT 100";

void explain_refusals_read(const PGresult *rows, struct explain_facts *facts)
{
	for (int row = 0; row < PQntuples(rows); row++) {
		const struct refusal_cause *cause = refusal_cause_find(pg_get(rows, row, 2));
		if (strcmp(cause->who, "visitor") == 0 || strcmp(cause->who, "nobody") == 0)
			continue;
		facts->refused.on = pg_get(rows, row, 0);
		facts->refused.at = pg_get(rows, row, 1);
		facts->refused.why = cause->meaning;
		facts->refused.who = cause->who;
		return;
	}
}

const struct refusal_cause *refusal_cause_find(const char *cause)
{
	static const struct refusal_cause causes[] = {
	    {"denied", "customer",
		"The name may have no certificate: it was not added, is not proven, or was released."},
	    {"suspended", "operator", "The name is suspended, or was released."},
	    {"not_stored", "operator", "Nothing is stored for the name, and this port obtains nothing."},
	    {"failed", "customer", "Its issuance failed a while ago, and the next try has not come yet."},
	    {"issuance", "customer", "Its issuance failed while the visitor waited."},
	    {"deadline", "nobody",
		"The certificate took longer than visitors wait; it is still being obtained."},
	    {"issue_deadline", "nobody",
		"The certificate took longer than visitors wait; it is still being obtained."},
	    {"lookup_deadline", "operator", "The database took longer than a second."},
	    {"ask_deadline", "operator", "The ask endpoint took longer than five seconds."},
	    {"database", "operator", "The database did not answer."},
	    {"ask", "operator", "The ask endpoint gave no answer: is the verifier up, and the token right?"},
	    {"temporary", "nobody", "Refused as it was a moment ago, on this node or for another visitor."},
	    {"remembered", "nobody", "Refused as it was a moment ago, on this node or for another visitor."},
	    {"overload", "operator", "The node had too much to do."},
	    {"max_waiting", "operator", "More visitors waited for certificates than max-waiting allows."},
	    {"unusable_certificate", "operator",
		"The stored certificate cannot be used; the edge's log says why."},
	    {"address", "customer", "The domain's options do not let this visitor's address in."},
	    {"passthrough_option", "operator", "The domain's option passthrough cannot be used."},
	    {"passthrough_circle", "operator",
		"A server that its TLS is passed on to leads back to the edge."},
	    {"protocol_version", "visitor", "The client speaks no TLS version that is allowed for the name."},
	    {"nothing_shared", "visitor", "The client shares no cipher, signature or group with us."},
	    {"no_application_protocol", "visitor", "The client offers no protocol that we speak (ALPN)."},
	    {"client_alert", "visitor",
		"The client broke off with an alert: it may not trust the certificate."},
	    {"client_left", "visitor", "The client went away before the handshake was over."},
	    {"timeout", "visitor", "The client fell silent in the handshake."},
	    {"hello_changed", "visitor", "The client's second hello was for another name."},
	    {"protocol", "visitor", "The client broke the TLS protocol."},
	};
	static const struct refusal_cause other = {"", "operator", "The edge's log and metrics say more."};

	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (strcmp(causes[i].cause, cause) == 0)
			return &causes[i];
	return &other;
}
