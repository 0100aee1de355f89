-- What issuance control adds: budgets of each CA, wildcard orders.
DO $$ BEGIN END $$;
