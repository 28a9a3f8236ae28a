"""Records of people, their readers, the prepared pack, and the datamodule that serves it."""
