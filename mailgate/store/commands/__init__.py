"""What administrators and users can do: who may give which command, and what each does."""
