"""What a remote screen looks up: models, where things are, files of the workspace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from cody_core.api.dependencies import ServedHere, Text, reply
from cody_core.schema.wire import AttachmentBody, FilesBody
from cody_core.schema.wire_info import InfoBody, ModelsBody

router = APIRouter(prefix="/api/v2", tags=["lookups"])

Limit = Annotated[int, Query(ge=1, le=500)]
FilePath = Annotated[Text, Query(min_length=1, max_length=4096)]
FileQuery = Annotated[Text, Query(max_length=1000)]


@router.get("/models", response_model=ModelsBody)
async def models(served: ServedHere, refresh: bool = False) -> Response:
    """Return the models there are; with ``refresh`` providers are asked, for seconds at most."""
    return reply(ModelsBody.model_validate(await served.client.models(refresh=refresh)))


@router.get("/info", response_model=InfoBody)
async def info(served: ServedHere) -> Response:
    """Return where the server keeps things, and what counts for a prompt that leaves it open."""
    return reply(InfoBody.model_validate(await served.client.info()))


@router.get("/files", response_model=FilesBody)
async def files(served: ServedHere, q: FileQuery = "", limit: Limit = 20) -> Response:
    """Return paths of workspace files like the query, best first."""
    return reply(FilesBody(paths=tuple(await served.client.find_files(q, limit=limit))))


@router.get("/attachment", response_model=AttachmentBody)
async def attachment(path: FilePath, served: ServedHere) -> Response:
    """Return the text of a workspace file for a prompt; of a large one, the beginning."""
    return reply(AttachmentBody.model_validate(await served.client.read_attachment(path)))
