"""Where tasks of Ray leave their news; a process of its own, which does without PyTorch and so is quickly there."""

from lightning_mia.fleet.news import News


class Mailbox:
    """An actor of Ray that keeps what tasks tell until it is fetched."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, News]] = []

    def put(self, name: str, news: News) -> None:
        """Keep what the task of this name tells."""
        self.letters.append((name, news))

    def take(self) -> list[tuple[str, News]]:
        """Hand over everything that is there."""
        letters, self.letters = self.letters, []
        return letters
