-- What did not agree when a day was tied out: payments, ledger and Stripe, compared by `payments tie-out` and its daily job.

CREATE TABLE tie_out_difference (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The UTC day that was compared.
  day date NOT NULL,
  -- The run that found it as it stands here.
  run_id uuid NOT NULL,
  kind varchar(30) NOT NULL,
  -- Ours where we have it (payment/7), else Stripe's id.
  object varchar(255) NOT NULL,
  currency varchar(3),
  -- What our payments, refunds, disputes and payouts say, in minor units. NULL: they know nothing of it.
  expected_minor bigint,
  -- What the ledger, or Stripe, says. NULL: nothing is there.
  actual_minor bigint,
  found_at timestamptz NOT NULL,
  -- A later run of the same day did not find it any more.
  resolved_at timestamptz,
  CONSTRAINT tie_out_difference_once UNIQUE (day, kind, object),
  CONSTRAINT tie_out_difference_differs CHECK (expected_minor IS DISTINCT FROM actual_minor),
  CONSTRAINT tie_out_difference_kind_known CHECK (kind IN ('charge_in_ledger', 'fee_in_ledger', 'refund_in_ledger',
    'dispute_in_ledger', 'payout_in_ledger', 'ledger_unbalanced', 'charge_at_stripe', 'refund_at_stripe', 'dispute_at_stripe',
    'payout_at_stripe'))
);
CREATE INDEX tie_out_difference_open ON tie_out_difference (day) WHERE resolved_at IS NULL;
