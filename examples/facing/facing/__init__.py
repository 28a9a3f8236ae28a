"""What of hmlpe can be one's own: a task with its metric, a balance, a protocol."""
