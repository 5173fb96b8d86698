"""The benchmarks, one file a command."""
