"""Build distributions: `configs/` in the wheel, and absolute links in the README; the rest is in pyproject.toml."""

import os
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

REPOSITORY = os.environ.get("REPOSITORY_URL", "").rstrip("/")
"""Address of the repository; links of the README lead there. The workflows that build set it."""


class BuildWithConfigs(build_py):
    """Adds `lightning_mia/configs`; editable installs use the checkout."""

    def run(self) -> None:
        """Copy the package and the configs."""
        super().run()
        if not self.editable_mode:
            self.copy_tree("configs", str(Path(self.build_lib) / "lightning_mia" / "configs"))


def readme() -> str:
    """Return the README for a page outside the repository."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    picture = rf"\1({REPOSITORY}/raw/HEAD/\2)" if REPOSITORY else ""
    text = re.sub(r"(!\[[^\]]*\])\((?!https?://)([^)]+)\)", picture, text)
    link = rf"[\1]({REPOSITORY}/blob/HEAD/\2)" if REPOSITORY else r"\1"
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?://|#)([^)]+)\)", link, text)


def urls() -> dict[str, str]:
    """Return the addresses of the project."""
    if not REPOSITORY:
        return {}
    pages = {"Documentation": "blob/HEAD/docs/index.md", "Changelog": "blob/HEAD/CHANGELOG.md", "Issues": "issues"}
    return {"Repository": REPOSITORY, **{name: f"{REPOSITORY}/{path}" for name, path in pages.items()}}


setup(
    cmdclass={"build_py": BuildWithConfigs},
    long_description=readme(),
    long_description_content_type="text/markdown",
    project_urls=urls(),
)
