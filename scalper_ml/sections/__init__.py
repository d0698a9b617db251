"""Sections of the settings, by what they are about."""
