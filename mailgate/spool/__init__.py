"""The spool: what was accepted and is not yet final, on stable storage, and the schedule over it (promise 1)."""
