"""Consent: the ledger that records it, the grants it issues, the receipts it gives, the law it follows."""
