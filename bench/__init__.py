"""Benchmarks: each figure is a median of several runs in CPU seconds, beside a named peer or bound in the same run."""
