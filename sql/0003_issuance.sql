-- What the issuer needs to spend a CA's quota with care.

-- Lanes, from the most urgent: what a job waits behind, and which share of the CA's quota it may use.
ALTER TABLE issuance_jobs ADD COLUMN lane text NOT NULL DEFAULT 'new'
	CHECK (lane IN ('urgent', 'new', 'routine', 'reissue'));
