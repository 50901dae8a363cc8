# Sourced by the tools: activate a virtual environment (the current one, or .venv) with lightning_mia installed.
# A marker file in the environment records the pyproject.toml of the installation.

if [ -n "${VIRTUAL_ENV:-}" ]; then
    environment=$VIRTUAL_ENV
else
    environment=$PWD/.venv
    [ -x "$environment/bin/python" ] || "${PYTHON:-python3}" -m venv "$environment"
fi
PATH=$environment/bin:$PATH
export PATH

# install EXTRAS: install the project in editable mode, unless this pyproject.toml is already installed.
install() {
    marker=$environment/lightning-mia$1.installed
    if ! { cat pyproject.toml && pwd; } | cmp -s - "$marker"; then
        python -m pip install --quiet --disable-pip-version-check --editable ".$1"
        { cat pyproject.toml && pwd; } > "$marker"
    fi
}
