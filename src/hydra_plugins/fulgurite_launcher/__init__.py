"""Hydra's launchers: fused sweeps, a process for each job, one job after the other."""
