"""What lies on disk: a run's folder, checkpoints, logs and pictures."""
