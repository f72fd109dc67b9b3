from __future__ import annotations

import pytest
from cody_core.checkup import Finding, every
from cody_core.checkup.every import checkup
from cody_core.settings import traced_settings

pytestmark = pytest.mark.usefixtures("home")


async def checked(**flags: object) -> list[Finding]:
    found: list[Finding] = []
    await checkup(*traced_settings(**flags), found.append)
    return found


async def test_a_bare_machine_is_in_order() -> None:
    found = await checked()
    assert [each for each in found if each.state == "problem"] == []
    assert [each.subject for each in found] == [
        *("keys", "model", "local models", "redis", "convex", "data directory", "database"),
        *("outbox", "sandbox", "ripgrep"),
    ]


async def test_what_a_check_raises_is_its_finding_and_others_go_on() -> None:
    found = await checked(
        redis_url="redis://:secret@127.0.0.1:1",
        convex_url="https://x.convex.cloud",
        server="nonsense",
        model="nonsense",
    )
    problems = {each.subject: each.text for each in found if each.state == "problem"}
    assert set(problems) == {"model", "server", "redis", "convex"}
    assert "secret" not in str(found)
    assert "REDIS_URL" in problems["redis"]
    assert "CONVEX_DEPLOY_KEY" in problems["convex"]
    assert found[-1].subject == "ripgrep"


async def test_a_check_that_takes_too_long_is_a_finding() -> None:
    found: list[Finding] = []
    await checkup(*traced_settings(), found.append, seconds=0.0)
    late = {each.subject for each in found if "took longer" in each.text}
    assert late >= {"local models", "data directory", "sandbox"}
    assert {each.state for each in found if each.subject in late} == {"problem"}


async def test_findings_are_told_as_soon_as_those_before_them_are() -> None:
    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if finding.subject == "database":
            raise LookupError("enough")

    with pytest.raises(LookupError):
        await checkup(*traced_settings(), tell)
    assert found[-1].subject == "database"
    assert every.SECONDS > 10
