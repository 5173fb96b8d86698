"""What several benchmarks need: steps, timing, the machine, tables, peers."""
