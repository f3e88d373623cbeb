"""Messages made 7-bit, and their lines short, without a change to what they say (RFC 6152, RFC 2045)."""
