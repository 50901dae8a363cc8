"""Everything is in pyproject.toml but one thing: a wheel takes `configs/` along, as `lightning_mia/configs`."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigs(build_py):
    """An editable install finds them in the checkout."""

    def run(self) -> None:
        """Copy the package, then the configs."""
        super().run()
        if not self.editable_mode:
            self.copy_tree("configs", str(Path(self.build_lib) / "lightning_mia" / "configs"))


setup(cmdclass={"build_py": WithConfigs})
