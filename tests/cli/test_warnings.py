from __future__ import annotations

CAREFUL = """
import warnings
import microframe
warnings.warn("the paint is wet")

@microframe.hookimpl
def microframe_components():
    return []
"""


def test_a_warning_that_is_not_microframe_s_is_shown_as_python_shows_it(microframe, models, tmp_path):
    (tmp_path / "careful.py").write_text(CAREFUL)
    result = microframe("inspect", models / "digits.toml", "--plugin", "careful.py")
    assert result.code == 0
    assert "careful.py:4: UserWarning: the paint is wet" in result.stderr
