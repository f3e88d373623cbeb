"""Who changed what at a tenant, and proof that nobody changed the record."""
