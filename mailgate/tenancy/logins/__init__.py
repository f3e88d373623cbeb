"""What a login needs: accounts, passwords, operators' keys, and what came of the tries."""
