"""Data sets as LightningDataModules: one file each, over the in-memory base they share."""
