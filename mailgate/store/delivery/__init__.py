"""Into the mailboxes of this gateway: Maildir or LMTP, tried again until it is done, within quotas."""
