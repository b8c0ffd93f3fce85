"""Every generated page and table says what it is made from, and one that differs, or has no place, is found."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from scripts.cards.mood import main_table, read_figures
from scripts.cards.tables import main, tables, whole_pages
from tests.conftest import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generated pages alone, to be broken."""
    for path in (*whole_pages(), *tables()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def test_every_generated_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "figure"),
    [
        ("README.md", r"\d+\.\d MB"),
        ("assistant/mood/README.md", r"0\.537"),
        ("scripts/mood/FIGURES.md", r"0\.537"),
        ("models/text/README.md", r"0\.558"),
        ("models/voice/figures.svg", r"\d+\.\d"),
        ("assistant/SETTINGS.md", r"8080"),
        ("assistant/server/ERRORS.md", r"Status 4\d\d"),
    ],
)
def test_a_figure_that_differs_is_found_and_mended(
    copy: Path, capsys: pytest.CaptureFixture[str], path: str, figure: str
) -> None:
    right = (copy / path).read_text()
    (copy / path).write_text(re.sub(figure, "9.999", right, count=1))
    assert (copy / path).read_text() != right
    assert main(["--check", "--root", str(copy)]) == 1
    assert capsys.readouterr().out.startswith(f"{path} is out of date\n")
    assert main(["--root", str(copy)]) == 0
    assert (copy / path).read_text() == right
    assert main(["--check", "--root", str(copy)]) == 0


@pytest.mark.parametrize("path", tables())
def test_a_table_without_one_of_its_markers_is_an_error_and_nothing_is_written(
    copy: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    right = (copy / path).read_text()
    for name in tables()[path]:
        for broken in (
            right.replace(f"<!-- {name} -->", ""),
            right.replace(f"<!-- /{name} -->", ""),
            right.replace(f"<!-- {name} -->", f"<!-- {name} --><!-- {name} -->"),
            right.replace(f"<!-- {name} -->", "<!-- x -->")
            .replace(f"<!-- /{name} -->", f"<!-- {name} -->")
            .replace("<!-- x -->", f"<!-- /{name} -->"),
        ):
            (copy / path).write_text(broken)
            for arguments in (["--check"], []):
                assert main([*arguments, "--root", str(copy)]) == 1
                assert f"{path} needs <!-- {name} -->" in capsys.readouterr().out
            assert (copy / path).read_text() == broken


def test_a_page_that_is_missing_is_found(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "models" / "vad" / "README.md").unlink()
    assert main(["--check", "--root", str(copy)]) == 1
    assert "models/vad/README.md is out of date" in capsys.readouterr().out


def test_a_measurement_that_is_missing_is_no_empty_row() -> None:
    with pytest.raises(KeyError):
        main_table([figure for figure in read_figures() if figure["part"] != "help"])
