"""Training of supernets: subnetworks that share weights, all at once."""
