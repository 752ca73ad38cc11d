"""POST /api/reports/exports and GET /api/reports/exports/{id}"""

from __future__ import annotations

from django.http import FileResponse, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers

from common.bodies import Body, read_json
from common.problems import Problem, missing
from reporting.models import ExportFormat, ExportKind, ExportStatus, ReportExport
from reporting.ranges import BadRange, DayRange, day_range
from reporting.serializers import export_json
from reporting.services.exports import ask_for, path_of
from users.auth import AuthenticatedRequest, staff_only


@staff_only
def post_export(request: AuthenticatedRequest) -> JsonResponse:
    """Ask for an export; 202, and a mail when it is ready."""
    body = read_json(request)
    kind = body.choice("kind", ExportKind.values, default="")
    if body.raw("kind") is None:
        body.fail("kind", "is required")
    file_format = body.choice("format", ExportFormat.values, default=ExportFormat.CSV)
    days = _range(body)
    body.done()
    assert days is not None
    export = ask_for(request.caller.user_id, kind, file_format, days)
    return JsonResponse(export_json(export), status=202, headers={"Location": f"/api/reports/exports/{export.pk}"})


@staff_only
def get_export(request: AuthenticatedRequest, export_id: int) -> HttpResponse:
    """How far an export is; the file itself where `Accept` asks for CSV."""
    export = ReportExport.objects.filter(pk=export_id, user_id=request.caller.user_id).first()
    if export is None:
        raise missing("export")
    wanted = request.get_preferred_type(["application/json", "text/csv"])
    response = _file(export) if wanted == "text/csv" else JsonResponse(export_json(export))
    patch_vary_headers(response, ["Accept"])
    return response


def _range(body: Body) -> DayRange | None:
    before = len(body.errors)
    first, last = body.text("from", max_length=10), body.text("to", max_length=10)
    if len(body.errors) > before:
        return None
    try:
        return day_range(first, last)
    except BadRange as error:
        body.fail(error.field, str(error))
        return None


def _file(export: ReportExport) -> FileResponse:
    status = export.current_status
    if status == ExportStatus.EXPIRED:
        raise _expired()
    if status != ExportStatus.READY:
        raise Problem(409, "export-not-ready", "Export not ready", f"The export is {status}: there is no file.")
    try:
        file = path_of(export).open("rb")
    except FileNotFoundError:
        raise _expired() from None
    name = f"{export.kind}-{export.from_date}-{export.to_date}.{export.format}"
    return FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")


def _expired() -> Problem:
    return Problem(410, "export-expired", "Export expired", "The file was deleted. Ask for the export again.")
