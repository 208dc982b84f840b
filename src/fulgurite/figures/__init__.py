"""Figures drawn with numpy and Pillow in a few milliseconds: arrays to a square image; no torch, no matplotlib."""
