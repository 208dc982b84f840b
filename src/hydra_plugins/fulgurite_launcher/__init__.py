"""Hydra's launcher of fused sweeps."""
