"""mailgate: a multi-tenant mail gateway that scans every attachment and keeps evidence of what it did."""

__version__ = "0.1.0"
