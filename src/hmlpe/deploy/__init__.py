"""A trained network as a file that runs by itself."""
