"""From a photo to poses. Nothing here imports torch, so that an exported network answers at once."""
