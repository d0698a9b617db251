"""The docs say what works: every command in them is run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
RUN = ("scalper ", "dagster asset ", "python -c ")
ELSEWHERE = ("make ", "export ", "duckdb ", "git ", "cd ", "#")  # make is what runs this; the others set up a shell
NEEDS_DATA = ("--profile majors32", "--profile mine")  # of the reader: covered by tests of their own


def snippets(page: Path) -> list[str]:
    """Lines of the page's indented or fenced ``console`` blocks that look like commands."""
    text = re.sub(r"```(?!console)\w+\n.*?```", "", page.read_text(), flags=re.S)
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith(("    ", "$ "))]
    return [line for line in lines if line.startswith((*RUN, *ELSEWHERE))]


def test_every_page_has_commands_that_are_run() -> None:
    """The pages hold commands; were the reader of this test to break, it would find none."""
    commands = [line for page in PAGES for line in snippets(page)]
    assert sum(line.startswith(RUN) for line in commands) >= 8
    assert any(line.startswith("make run") for line in commands)
    assert any(line.startswith("make test") for line in commands)


def test_make_targets_exist() -> None:
    """Every `make TARGET` of the docs is a target of the Makefile."""
    targets = set(re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), flags=re.M))
    for page in PAGES:
        for name in re.findall(r"(?:^ {4}|`)make (\w+)", page.read_text(), flags=re.M):
            assert name in targets, f"{page.name}: make {name}"


def test_links_lead_somewhere() -> None:
    """Every relative link and picture of the docs is a file."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_docs_work(page: Path, demo_copy: Any) -> None:
    """Every scalper, dagster and python command of a page succeeds in the project that `make run` leaves."""
    for line in snippets(page):
        if not line.startswith(RUN) or any(profile in line for profile in NEEDS_DATA):
            continue
        command, *arguments = shlex.split(line, comments=True)
        if command == "python":
            done = demo_copy.shell(command, *arguments)
        else:
            done = demo_copy.start(command, *arguments).wait()
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
