"""The template sync on its schedule, and the two template routes."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from whatsapp import bootstrap
from whatsapp.domain.ports import Deadline
from whatsapp.domain.schedule import iso
from whatsapp.domain.templates.plan import outlook, standing
from whatsapp.domain.templates.template import Template
from whatsapp.domain.templates.version import TemplateVersion
from whatsapp.observability import logger, metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

api = APIGatewayHttpResolver(debug=False)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Serve the routes, the schedule, and a direct `{"task": "sync"}` with optional `dry_run` and `recreate`."""
    deadline = Deadline(bootstrap.app().clock.now() + context.get_remaining_time_in_millis())
    if "requestContext" in event:
        api.append_context(deadline=deadline)  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        return api.resolve(event, context)
    if event.get("task") == "sync":
        return _sync(deadline, dry_run=event.get("dry_run") is True, recreate=event.get("recreate") is True)
    raise ValueError("unknown event: this function serves its routes and the task `sync`")


@api.post("/templates/sync")
def sync_now() -> dict[str, Any]:
    """Sync now. `?dry_run=true` only shows the plan, `?recreate=true` creates again what was deleted by hand."""
    query = api.current_event.query_string_parameters or {}
    return _sync(
        api.context["deadline"], dry_run=query.get("dry_run") == "true", recreate=query.get("recreate") == "true"
    )


@api.get("/templates")
def show() -> dict[str, Any]:
    """Every version of every template: its status, why, whether it is serving, and what happens next."""
    sync = bootstrap.app().sync_templates
    return {
        "templates": [
            _public(version, template, versions)
            for template in sync.catalog
            for versions in [sorted(sync.templates.versions(template.name), key=lambda v: (v.language, v.created_at))]
            for version in versions
        ]
    }


def _sync(deadline: Deadline, *, dry_run: bool, recreate: bool) -> dict[str, Any]:
    sync = bootstrap.app().sync_templates
    result = sync(deadline, dry_run=dry_run, recreate=recreate)
    for problem in result.problems:
        logger.error("template sync: a problem", problem=problem)
    return {
        "dry_run": dry_run,
        "templates": [
            _public(version, sync.catalog.get(version.template), sync.templates.versions(version.template))
            for version in result.versions
        ],
        "steps": [
            {
                "template": step.version.template,
                "language": step.version.language,
                "version": step.version.version,
                "do": step.move.value,
                "why": step.why,
            }
            for step in result.steps
        ],
        "problems": result.problems,
    }


def _public(version: TemplateVersion, template: Template, versions: "Sequence[TemplateVersion]") -> dict[str, Any]:
    stands = standing(version, template, versions)
    return {
        "template": version.template,
        "version": version.version,
        "language": version.language,
        "status": version.status,
        "since": _time(version.status_at or version.created_at),
        "reason": version.reason,
        "category": version.category,
        "content_sid": version.content_sid,
        "current": stands.is_current,
        "serves": stands.serves,
        "next": outlook(version, stands),
        "problem": version.problem,
        "created_at": _time(version.created_at),
        "checked_at": _time(version.checked_at),
        "superseded_at": _time(version.superseded_at),
    }


def _time(at: int | None) -> str | None:
    return iso(at) if at else None
