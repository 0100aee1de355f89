/*
 * Text that several statements about names share.
 */
#ifndef COMMON_EXPLAIN_EXPLAIN_SQL_H
#define COMMON_EXPLAIN_EXPLAIN_SQL_H

/* The name ($2) is the tenant's that asks ($1), or it is the operator who does. */
#define EXPLAIN_OWNED \
	"($1::text IS NULL OR EXISTS (SELECT 1 FROM domains o WHERE o.name = $2 AND o.tenant = $1" \
	" AND o.status IN ('active', 'drifted', 'suspended')))"

/* What is left of a bucket `b` of the ledger under the ceiling `c`: its tokens are those of the last use, and
 * what has come back since is added where the ceiling is known. */
#define EXPLAIN_LEFT \
	"floor(CASE WHEN b.blocked_until > now() THEN 0 ELSE LEAST(c.capacity," \
	" b.tokens + GREATEST(0, extract(epoch FROM now() - b.counted_at)) / COALESCE(c.seconds, " \
	"'infinity'))" \
	" END)::bigint"

/* Which stored certificates may serve a name: its own and its wildcard's, of a tenant's those of the owner
 * alone; and which of them goes first. */
#define EXPLAIN_SERVES(row, name) \
	row ".name IN (" name ", '*' || substr(" name ", strpos(" name ", '.'))) AND (" row \
	    ".tenant IS NULL OR " row ".tenant = (SELECT s.tenant FROM domains s WHERE s.name = " name \
	    " AND s.status IN ('active', 'drifted', 'suspended')))"
#define EXPLAIN_RANK(row, name) \
	"certificate_rank(" row ".name = " name ", " row ".source, " row ".tenant, " row ".removed_at, " row \
	".not_after)"

#endif
