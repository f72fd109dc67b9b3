"""Every exception the core raises on purpose.

CodyError
├── SettingsError                 a setting is missing or malformed
├── InvalidRequest                the caller asked for something impossible
│   ├── ApprovalResolvedBefore    somebody answered first
│   ├── ThreadExists
│   ├── UnknownAgent
│   ├── UnknownProvider
│   └── InvalidModel
├── TooManyRuns                   as many are on their way as there may be
├── NotFound
│   ├── ThreadNotFound
│   └── RunNotFound
├── ProviderError                 the model's provider failed; ``retryable`` if waiting may help
│   ├── ProviderAuthError         key missing, wrong or without the right
│   ├── ProviderRateLimited
│   ├── ProviderOverloaded        overloaded, or a 5xx answer
│   ├── ProviderContextTooLong
│   ├── ProviderBadRequest        any other 4xx answer
│   ├── ProviderConnectionError
│   ├── ProviderTimeout
│   └── ProviderStreamBroken      the stream ended before the response did
├── EventLogError
│   ├── EventLogUnavailable       the log's server cannot be reached
│   ├── AppendedBefore            an append that counts once, and was made already
│   └── RunClosed                 an append after the run's terminal event
├── ServerUnavailable             the ``cody serve`` of a remote client cannot be reached
├── ToolError                     a tool could not do it; the message is for the model
└── StoreError
    ├── StoreUnavailable          busy, full, locked or unreachable: waiting may help
    │   ├── StoreRefused          the key is missing, wrong or without the right
    │   ├── StoreOutdated         its functions are not there, or of another version
    │   └── StoreOverQuota        it is stopped: over its limits, or paused
    └── StoreCorrupt              the stored data cannot be read by this version

A foreign exception is translated once, at the edge of the adapter that met it, with ``raise …
from``. ``code`` is stable and goes on the wire; messages are for people and may change.
"""

from __future__ import annotations

from typing import ClassVar


class CodyError(Exception):
    """Base of every error the core raises on purpose."""

    code: ClassVar[str] = "cody_error"

    @property
    def message(self) -> str:
        """What failed, where, and what to do next, in one line."""
        return str(self)


class SettingsError(CodyError):
    """A setting is missing or malformed; the message names it."""

    code = "settings_error"


class InvalidRequest(CodyError):
    """The caller asked for something that cannot be done; nothing was changed."""

    code = "invalid_request"


class ApprovalResolvedBefore(InvalidRequest):
    """Somebody answered first, or nobody was asked any more."""

    code = "approval_resolved"


class ThreadExists(InvalidRequest):
    """There is a thread with that id, or was one."""

    code = "thread_exists"


class UnknownAgent(InvalidRequest):
    """No agent of that name is configured, or it names tools that do not exist."""

    code = "unknown_agent"


class UnknownProvider(InvalidRequest):
    """No provider of that name is configured."""

    code = "unknown_provider"


class InvalidModel(InvalidRequest):
    """The model's provider cannot be inferred, or model and provider do not fit."""

    code = "invalid_model"


class TooManyRuns(CodyError):
    """As many runs are on their way as there may be; waiting helps."""

    code = "too_many_runs"

    @classmethod
    def of(cls, limit: int) -> TooManyRuns:
        """Return the error that says how many runs there may be."""
        return cls(f"{limit:,} runs are on their way, as many as there may be: try again later")


class NotFound(CodyError):
    """A thread or run with that id does not exist."""

    code = "not_found"


class ThreadNotFound(NotFound):
    """There is no such thread."""

    code = "thread_not_found"


class RunNotFound(NotFound):
    """There is no such run, neither in the log nor in the store."""

    code = "run_not_found"


class ProviderError(CodyError):
    """The model's provider failed.

    Attributes:
        retryable: The same request may succeed later.
        retry_after: Seconds the provider asked us to wait, if it said.
    """

    code = "provider_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderAuthError(ProviderError):
    """The key is missing, wrong or lacks the right; the message names the variable."""

    code = "provider_auth"


class ProviderRateLimited(ProviderError):
    """Too many requests or an exhausted quota."""

    code = "provider_rate_limited"
    retryable = True


class ProviderOverloaded(ProviderError):
    """The provider is overloaded or answered with a server error."""

    code = "provider_overloaded"
    retryable = True


class ProviderContextTooLong(ProviderError):
    """The conversation does not fit into the model's context window."""

    code = "provider_context_too_long"


class ProviderBadRequest(ProviderError):
    """The provider refused the request as malformed."""

    code = "provider_bad_request"


class ProviderConnectionError(ProviderError):
    """The provider could not be reached."""

    code = "provider_connection"
    retryable = True


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""

    code = "provider_timeout"
    retryable = True


class ProviderStreamBroken(ProviderError):
    """The stream ended, or could not be parsed, before the response was complete."""

    code = "provider_stream_broken"
    retryable = True


class EventLogError(CodyError):
    """The event log could not do what was asked."""

    code = "event_log_error"


class EventLogUnavailable(EventLogError):
    """The log's server cannot be reached; the message names REDIS_URL."""

    code = "event_log_unavailable"


class AppendedBefore(EventLogError):
    """Somebody was first with an append that counts only once; nothing was appended."""

    code = "appended_before"


class RunClosed(EventLogError):
    """The run already has its terminal event, or has been forgotten; nothing was appended."""

    code = "run_closed"


class ServerUnavailable(CodyError):
    """A ``cody serve`` cannot be reached, or what answers is none; the message names its URL."""

    code = "server_unavailable"


class ToolError(CodyError):
    """A tool could not do what it was asked; the message is for the model to act on."""

    code = "tool_error"


class StoreError(CodyError):
    """The store could not do what was asked."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """The store is busy, full, locked or unreachable; waiting may help."""

    code = "store_unavailable"


class StoreRefused(StoreUnavailable):
    """The store does not take the key; the message names the variable."""

    code = "store_refused"


class StoreOutdated(StoreUnavailable):
    """The store's functions are missing or of another version; the message says what to run."""

    code = "store_outdated"


class StoreOverQuota(StoreUnavailable):
    """The store is stopped: it is over its limits, or paused."""

    code = "store_over_quota"


class StoreCorrupt(StoreError):
    """What is stored cannot be read by this version; the message names the file."""

    code = "store_corrupt"
