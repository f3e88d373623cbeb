"""Who may use which mailbox, and which mailboxes exist for whom."""
