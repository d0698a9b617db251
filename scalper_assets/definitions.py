"""The code location: every asset, check, job, sensor and schedule of the platform."""

from dagster import Definitions

from scalper_assets.assets.factory import ALL_ASSETS
from scalper_assets.jobs import JOBS
from scalper_assets.project import location_project
from scalper_assets.resources import ProjectResource
from scalper_assets.sensors import SCHEDULES, SENSORS

defs = Definitions(
    assets=ALL_ASSETS,
    jobs=JOBS,
    sensors=SENSORS,
    schedules=SCHEDULES,
    resources={"project": ProjectResource.of(location_project())},
)
