"""Consent: the ledger of decisions, the grants that it issues, the receipts for people, and the legal rules."""
