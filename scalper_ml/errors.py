"""Errors of the platform.

::

    ScalperError
    ├── SettingsError            a key or value in settings.yaml, the environment or on the command line
    ├── InputError               a source file that cannot be read as what it claims to be
    ├── SourceError              a place that files cannot be had from now; what was ingested stays
    ├── ContractError            a table or array that breaks its schema
    ├── InsufficientDataError    too few rows, too few classes, nothing left after purging
    ├── FeatureSetError          features that are not the ones a model or dataset was made with
    ├── BundleError              a model bundle that is incomplete, altered or of an unknown format
    ├── AuditError               a value that changed when the future changed
    ├── StoreError               an online store that does not answer, or holds nothing to decide on
    ├── ChecksFailedError        an upstream partition whose blocking checks failed
    └── WarehouseError           a partition that is missing, or that was not written completely
        └── SupersededError      a partition of which another build was published while it was read

A message says what, what was found, what was expected and what to do.
"""

__all__ = [
    "AuditError",
    "BundleError",
    "ChecksFailedError",
    "ContractError",
    "FeatureSetError",
    "InputError",
    "InsufficientDataError",
    "ScalperError",
    "SettingsError",
    "SourceError",
    "StoreError",
    "SupersededError",
    "WarehouseError",
]


class ScalperError(Exception):
    """Base of every error this platform raises on purpose."""


class SettingsError(ScalperError):
    """A setting is unknown, malformed or contradicts another."""


class InputError(ScalperError):
    """A source file cannot be read as what it claims to be."""


class SourceError(ScalperError):
    """A place that files cannot be had from now: it does not answer, or does not give what it lists."""


class ContractError(ScalperError):
    """A table or array breaks its schema."""


class InsufficientDataError(ScalperError):
    """There is too little data, or too little variety in it, to go on."""


class FeatureSetError(ScalperError):
    """Features differ from the ones a model or dataset was made with."""


class BundleError(ScalperError):
    """A model bundle is incomplete, altered or of an unknown format."""


class AuditError(ScalperError):
    """A value changed when only the future was changed."""


class StoreError(ScalperError):
    """An online store does not answer, or holds nothing that a decision may be taken on."""


class ChecksFailedError(ScalperError):
    """An upstream partition failed a blocking check."""


class WarehouseError(ScalperError):
    """A warehouse partition is missing or was not written completely."""


class SupersededError(WarehouseError):
    """Another build of a partition was published while this one was read: what was read of it is out of date."""
