"""The lobule engine: the compiled model in space, cell by cell."""
