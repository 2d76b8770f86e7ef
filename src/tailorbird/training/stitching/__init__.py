"""Training stitched networks."""
