"""K jobs of a sweep as one program: what they compute is batched, everything else stays each job's own."""
