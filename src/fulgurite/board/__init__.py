"""What TensorBoard shows beside the curves, written from what is known of runs and sweeps; and the server for it."""
