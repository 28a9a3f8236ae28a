"""Measure the norms and cosine similarities of the tasks' gradients, and mirror the CSV log in W&B."""
