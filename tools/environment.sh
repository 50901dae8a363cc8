# Sourced by the tools: a virtual environment (the active one, or .venv), with lightning_mia installed.
# A marker beside the environment remembers for which pyproject.toml it was filled.

if [ -n "${VIRTUAL_ENV:-}" ]; then
    environment=$VIRTUAL_ENV
else
    environment=$PWD/.venv
    [ -x "$environment/bin/python" ] || "${PYTHON:-python3}" -m venv "$environment"
fi
PATH=$environment/bin:$PATH
export PATH

# install EXTRAS: install the project, in editable form, unless that was done for this pyproject.toml.
install() {
    marker=$environment/lightning-mia$1.installed
    if ! { cat pyproject.toml && pwd; } | cmp -s - "$marker"; then
        python -m pip install --quiet --disable-pip-version-check --editable ".$1"
        { cat pyproject.toml && pwd; } > "$marker"
    fi
}
