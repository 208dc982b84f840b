"""Fulgurite: PyTorch Lightning experiments composed by Hydra. Importing it imports no torch."""

__version__ = "0.1.0"
