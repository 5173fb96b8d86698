"""What the experiments have in common: grids of runs, results, curves."""
