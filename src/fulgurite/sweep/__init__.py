"""A sweep: its jobs, its folder, its record, how it stands and goes on."""
