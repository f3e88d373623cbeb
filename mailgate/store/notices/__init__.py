"""What the gateway writes itself, to senders, users and administrators."""
