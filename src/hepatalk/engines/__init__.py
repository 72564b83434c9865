"""How a model runs: engines see numbers, never papers."""
