"""The Dagster code location: partitions, resources, assets, checks, jobs and the whole-graph driver."""

import os

# Two OpenMP teams on two busy cores run 5-10 times slower; parallelism comes from processes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
