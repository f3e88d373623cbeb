"""Mail that is kept back: until it is scanned, released, or too old."""
