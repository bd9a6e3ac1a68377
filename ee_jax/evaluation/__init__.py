"""Quality, depth, trade-off curves and honest timing."""
