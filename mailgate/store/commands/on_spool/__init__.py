"""Commands on mail and on what is known of it; they run in the admin thread."""
