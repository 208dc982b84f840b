"""The table of results: which presets give which figures, run, measured and written down."""
