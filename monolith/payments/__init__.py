"""Payments through Stripe: charges, refunds, disputes, payouts, subscriptions, and the ledger of it all."""
