"""The population engine: cells and signals in three zones as one system of ordinary differential equations."""
