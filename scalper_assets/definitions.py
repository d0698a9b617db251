"""The code location: every asset, check and job of the platform."""

from dagster import Definitions

from scalper_assets.assets.factory import ALL_ASSETS
from scalper_assets.jobs import JOBS
from scalper_assets.project import location_project
from scalper_assets.resources import ProjectResource

defs = Definitions(
    assets=ALL_ASSETS,
    jobs=JOBS,
    resources={"project": ProjectResource.of(location_project())},
)
