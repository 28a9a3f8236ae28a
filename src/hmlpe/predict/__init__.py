"""Pose prediction: from a photo to poses.

Importing this package does not import torch, so that an exported network gives its poses without torch's start-up time.
"""
