"""Who may log in, and how often it may be tried; logins and sessions of the IMAP server."""
