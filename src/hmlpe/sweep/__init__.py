"""Robust sweeps: each job runs in its own process and is resumed, retried and shown. No module here loads torch."""
