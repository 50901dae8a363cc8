"""Build wheels with `configs/`; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Adds `lightning_mia/configs`; editable installs use the checkout."""

    def run(self) -> None:
        """Copy the package and the configs."""
        super().run()
        if not self.editable_mode:
            self.copy_tree("configs", str(Path(self.build_lib) / "lightning_mia" / "configs"))


setup(cmdclass={"build_py": BuildWithConfigs})
