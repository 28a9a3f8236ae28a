"""Person detection: bounding boxes of upper bodies, from detectors or from files."""
