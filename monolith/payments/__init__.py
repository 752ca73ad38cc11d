"""Charges through Stripe."""
