"""Delivery status notifications: what senders ask for (RFC 3461), the notices they get (RFC 3464, RFC 6533). Pure."""
