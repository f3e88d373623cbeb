"""Mailboxes, and which addresses lead to them or elsewhere."""
