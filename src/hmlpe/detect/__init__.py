"""Finding people: boxes around upper bodies, from detectors or from files."""
