"""The lobule engine: cells and signals in a piece of liver with its own sinusoids, flow and mechanics."""
