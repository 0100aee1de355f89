-- Tenants with tokens of their own, their quotas, and who did what.
DO $$ BEGIN END $$;
