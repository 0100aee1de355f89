-- What a domain's DNS means: wanted beside found, who acts, the mend. One per claim, beside `domains`, which the ask
-- endpoint reads. `basis`: a digest of what the ordinary check had found: as long as the next ones find the same, it
-- holds. `is_full`: each name server was asked. `is_troubled`: something in it is not as it should be.
CREATE TABLE domain_diagnoses (
	domain_id   bigint PRIMARY KEY REFERENCES domains (id) ON DELETE CASCADE,
	made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
	basis       text NOT NULL,
	is_full     boolean NOT NULL,
	is_troubled boolean NOT NULL,
	diagnosis   jsonb NOT NULL
);

REVOKE ALL ON domain_diagnoses FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON domain_diagnoses TO postern_verifier;
-- The CA whose account is the oldest is the one to recommend.
GRANT SELECT (created_at) ON ca_accounts TO postern_verifier;
