"""What the gateway does with mail: policy files, their schema, the published snapshot and its pure evaluation."""
