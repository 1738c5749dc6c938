"""Projects: what API keys belong to."""

from copy import copy

from fastapi import APIRouter
from pydantic import BaseModel, Field

import trailkeeper
from examples.gateway.access import SignedIn, failed
from examples.gateway.state import Project, changed, found, new_id
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/projects", tags=["projects"])


class NewProject(BaseModel):
    """A project to be made."""

    name: str = Field(min_length=1, max_length=100)
    mode: str = "credits"


class Settings(BaseModel):
    """What can be changed."""

    name: str | None = None
    mode: str | None = None
    caching: bool | None = None
    cache_seconds: int | None = None


@router.post("", status_code=201)
async def create(new: NewProject, caller: SignedIn) -> Project:
    """Create a project. Its name must be free."""
    audit = caller.allowed(Action.PROJECT_CREATE, resource_name=new.name)
    if any(project.name == new.name for project in caller.organization.projects.values()):
        raise failed(audit, Action.PROJECT_CREATE, 409, "There is a project of this name.")
    project = Project(new_id("prj"), new.name, new.mode)
    caller.organization.projects[project.id] = project
    audit.info(Action.PROJECT_CREATE, resource_id=project.id, details={"changes": trailkeeper.diff(None, project)})
    return project


@router.patch("/{project_id}")
async def update(project_id: str, settings: Settings, caller: SignedIn) -> Project:
    """Change a project's settings."""
    project = found(caller.organization.projects, project_id)
    audit = caller.allowed(Action.PROJECT_UPDATE, project.id, project.name)
    old = copy(project)
    changed(project, settings.model_dump(exclude_unset=True))
    audit.info(Action.PROJECT_UPDATE, details={"changes": trailkeeper.diff(old, project)})
    return project


@router.delete("/{project_id}", status_code=204)
async def delete(project_id: str, caller: SignedIn) -> None:
    """Delete a project that has no keys any more."""
    project = found(caller.organization.projects, project_id)
    audit = caller.allowed(Action.PROJECT_DELETE, project.id, project.name)
    if any(key.project_id == project.id for key in caller.organization.api_keys.values()):
        raise failed(audit, Action.PROJECT_DELETE, 409, "The project still has API keys.")
    del caller.organization.projects[project.id]
    audit.info(Action.PROJECT_DELETE, details={"changes": trailkeeper.diff(project, None)})
