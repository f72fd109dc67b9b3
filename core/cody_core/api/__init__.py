"""The HTTP API: a ``Client`` behind FastAPI. These are the routes.

=======  =====================================  =================================================
method   path                                   answer
=======  =====================================  =================================================
GET      /health                                ``{status, version, log, store}``, always 200, open
POST     /api/v2/submit                         202 ``{runId, threadId, turnId, streamUrl}``
GET      /api/v2/stream/{runId}                 events; ``from``, ``blockMs``, ``batchSize``; 204
                                                where nothing follows the offset of an ended run
GET      /api/v2/runs/{runId}                   ``Response``, as it is stored
POST     /api/v2/runs/{runId}/cancel            202 ``{runId}``; body ``{reason?}`` or none
POST     /api/v2/runs/{runId}/approvals/{id}    ``{approvalId, decision}``; body
                                                ``{decision, reason?}``; 409 ``APPROVAL_RESOLVED``
GET      /api/v2/threads                        ``{threads, nextCursor}``; ``limit``, ``cursor``,
                                                ``tag``, ``q``; threads here have a ``state``, too
POST     /api/v2/threads                        201 thread
GET      /api/v2/threads/{threadId}             ``{thread, runs}``
PATCH    /api/v2/threads/{threadId}             thread
DELETE   /api/v2/threads/{threadId}             204
POST     /api/v2/threads/{threadId}/fork        201 thread; body ``{until?, before?, title?}``
GET      /api/v2/threads/{threadId}/events      events ``run_started`` ``{runId, threadId}`` and
                                                ``run_ended`` ``{runId, threadId, status}``; those
                                                that are live come first
GET      /api/v2/models                         ``{models: [{id, providerId, name, contextTokens,
                                                maxOutputTokens, price: {prompt, completion,
                                                cached, cacheWrite, asOf}, isDefault}],
                                                unreachable}``; ``refresh=true`` asks providers
GET      /api/v2/info                           ``{version, log, store, workspace, home, policy,
                                                reasoningEffort, agents: [{name, model, policy,
                                                reasoningEffort, tools}]}``
GET      /api/v2/files                          ``{paths}``; ``q``, ``limit``
GET      /api/v2/attachment                     ``{path, content, size, isCut}``; ``path``
=======  =====================================  =================================================

What is not there is ``null``, except in ``Response`` and in events, which are as they are stored.
Times of threads are ISO 8601 in UTC with milliseconds. Errors are ``{error: {code, message,
details?}}``; codes are those of ``cody_core.errors`` in capitals, with ``REDIS_UNAVAILABLE`` for an
event log that cannot be reached, and ``VALIDATION_ERROR`` for what no route takes, whose details
are ``{field, problems: [{field, message}]}``.
"""
