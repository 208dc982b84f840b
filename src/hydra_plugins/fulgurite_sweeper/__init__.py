"""Hydra's sweeper of searches."""
