"""The field's protocols: our networks and other methods, scored by the same code."""
