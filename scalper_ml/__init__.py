"""Raw trades to decisions that can be trusted: the library. Pure functions over arrays and tables, no orchestration."""
