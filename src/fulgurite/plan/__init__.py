"""The dry run of a sweep: its jobs, their errors, their groups, an estimate of time and memory."""
