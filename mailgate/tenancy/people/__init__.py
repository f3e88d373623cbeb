"""A tenant's users: made, changed, compared with a file, and what each gets."""
