"""True evaluations spent where a predictor expects most of them."""
