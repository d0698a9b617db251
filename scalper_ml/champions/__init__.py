"""Which model runs, since when, and what another one must show to take its place (METHOD 5.6)."""
