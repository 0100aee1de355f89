-- What the edge reads of names that it does not terminate TLS for.
DO $$ BEGIN END $$;
