"""A local web page on which a user can try the network on a photo."""
