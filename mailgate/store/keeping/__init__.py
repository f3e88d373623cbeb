"""The spool on stable storage: opened, written by one thread, with room left for what is under way."""
