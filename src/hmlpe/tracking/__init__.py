"""Diagnosis of the tasks' gradients, and W&B as a mirror of the CSV log."""
