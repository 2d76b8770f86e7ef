"""Networks that share weights, whatever their space: what runs, evaluates and keeps them."""
