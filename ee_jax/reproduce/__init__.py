"""Studies: sweeps that repeat a paper, and tables that put its numbers beside ours."""
