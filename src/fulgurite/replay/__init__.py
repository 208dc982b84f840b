"""What needs a finished run's folder and nothing else: test it again, predict from it, repeat it."""
