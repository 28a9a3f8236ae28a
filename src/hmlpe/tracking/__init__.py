"""What of a run is worth watching: the metrics' names, diagnostics, pictures, and W&B as a mirror of all of them."""
