"""Evaluation by the field's protocols: our networks and other methods are scored by the same code."""
