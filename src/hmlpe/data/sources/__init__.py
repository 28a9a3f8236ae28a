"""Readers of the data sets, one for each, that read the files as their authors distribute them."""
