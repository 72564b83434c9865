"""The lobule engine: the compiled model in space, on pieces of lobule that blood passes one after the other."""
