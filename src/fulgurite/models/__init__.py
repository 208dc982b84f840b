"""Networks as LightningModules: one file a family, over the recipe they share (``supervised.py``)."""
