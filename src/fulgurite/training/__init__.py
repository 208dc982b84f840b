"""What happens inside ``fit``: trainer, loop, optimisers, schedules, loggers, checkpoint files."""
