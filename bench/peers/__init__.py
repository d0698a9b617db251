"""Peers that cannot be installed beside our pins: run in an environment of their own, in turn with ours."""
