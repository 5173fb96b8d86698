"""What a run does between its steps, one file a task."""
