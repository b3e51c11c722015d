"""Was it worth it? Measures cost, quality and speed, each with its interval and baselines."""
