"""Killing a run at random moments: the process that is killed, and where it was."""
