"""Measure how fast hmlpe trains, evaluates and sweeps, against what the machine and the bare computation allow."""
