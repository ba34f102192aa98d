"""Templates: the schedule's sync, and the two template routes."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from whatsapp import bootstrap
from whatsapp.domain.schedule import iso
from whatsapp.domain.template_version import TemplateVersion
from whatsapp.observability import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

api = APIGatewayHttpResolver()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """HTTP, the schedule, or a direct `{"task": "sync"}`."""
    if "requestContext" in event:
        return api.resolve(event, context)
    if event.get("task") == "sync":
        return sync()
    raise ValueError("unknown event: this function knows its routes and the task `sync`")


@api.post("/templates/sync")
def sync() -> dict[str, Any]:
    """Bring the catalog and Twilio into step now."""
    result = bootstrap.app().sync_templates()
    for problem in result.problems:
        logger.error("sync", problem=problem)
    return {"templates": [_face(version) for version in result.versions], "problems": result.problems}


@api.get("/templates")
def show() -> dict[str, Any]:
    """Every version of every template, and why it stands as it does."""
    app = bootstrap.app()
    return {
        "templates": [_face(version) for template in app.catalog for version in app.templates.versions(template.name)]
    }


def _face(version: TemplateVersion) -> dict[str, Any]:
    return {
        "template": version.template,
        "version": version.version,
        "language": version.language,
        "status": version.status,
        "reason": version.reason,
        "category": version.category,
        "content_sid": version.content_sid,
        "created_at": iso(version.created_at),
        "checked_at": iso(version.checked_at) if version.checked_at else None,
    }
