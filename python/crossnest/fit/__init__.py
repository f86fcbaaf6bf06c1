"""From a design to a fitted model: the engine, its options, its verdict and its results."""
