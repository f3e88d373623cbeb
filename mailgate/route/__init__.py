"""Where mail goes: DNS, MX selection, routes of the policy."""
