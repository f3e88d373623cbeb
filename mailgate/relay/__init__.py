"""The relay process: takes leased recipients to their next hops."""
