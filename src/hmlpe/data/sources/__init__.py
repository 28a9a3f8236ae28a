"""One reader per data set, each in the form it is distributed in."""
