"""Commands on tenants, their people and their mailboxes; they run in the directory's thread."""
