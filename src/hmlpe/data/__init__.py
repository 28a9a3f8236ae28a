"""Annotated people: their records, readers, the prepared pack, and the datamodule that serves it."""
