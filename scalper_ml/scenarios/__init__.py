"""Markets whose answer is known, and the proof that the pipeline finds it and nothing else."""
