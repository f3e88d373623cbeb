"""What the relay asks the store for: work, keys to sign with, reports to other domains."""
