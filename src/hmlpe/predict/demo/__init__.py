"""A page to try the network on a photo."""
