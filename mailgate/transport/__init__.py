"""How private a connection to a next hop must be, can be, and was."""
