"""One SQLite database for the gateway and one for each tenant: tables, migrations, where they lie."""
