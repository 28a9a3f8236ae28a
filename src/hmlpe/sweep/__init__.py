"""Sweeps that survive: every job in a process of its own, resumed, retried and watched. No module here loads torch."""
