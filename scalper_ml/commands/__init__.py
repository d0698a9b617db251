"""Commands over ticks; what they need beyond the settings is imported when they run."""
