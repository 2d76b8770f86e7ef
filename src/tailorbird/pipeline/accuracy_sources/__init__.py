"""Where the accuracies of a run come from: one protocol, and a class for each kind."""
