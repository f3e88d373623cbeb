"""The store process: the only writer of the spool; commits, leases, local delivery, logins, policies, commands."""
