"""The model in space, cell by cell."""
