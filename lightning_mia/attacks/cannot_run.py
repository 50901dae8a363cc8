"""An attack that cannot run is left out, with one line that says what it needs."""


class CannotRun(Exception):  # noqa: N818 - nothing went wrong
    """What an attack needs is not there.

    The message is one line that goes on after "… was left out: " and says what is needed and what there is.
    It is raised before or while scoring, and never ends a run: the attack is missing from the results instead.
    """
