"""Inspection of a network's shared layers: receptive fields, average patches, selectivity, removal of maps."""
