"""Resources: the project an asset works on."""

from pathlib import Path

from dagster import ConfigurableResource

from scalper_ml.project import Project
from scalper_ml.settings import Settings

__all__ = ["ProjectResource"]


class ProjectResource(ConfigurableResource):  # type: ignore[type-arg]
    """Settings and folder of the project, as plain text so that they show in the UI."""

    folder: str
    settings: str  # JSON

    @classmethod
    def of(cls, project: Project) -> "ProjectResource":
        """The resource that stands for `project`."""
        return cls(folder=str(project.folder), settings=project.settings.model_dump_json())

    def open(self) -> Project:
        """The project again."""
        return Project(settings=Settings.model_validate_json(self.settings), folder=Path(self.folder))
