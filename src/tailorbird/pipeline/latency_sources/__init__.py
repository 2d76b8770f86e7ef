"""Where the latencies of a run come from: one protocol, and a class for each kind."""
