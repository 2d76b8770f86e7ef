"""Training one network of a space on, alone, from the weights that it shares with others."""
