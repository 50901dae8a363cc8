"""A terminal for tests of progress bars, which a pipe gets as lines every 30 s."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence


class Terminal(io.StringIO):
    """What is written to it is kept."""

    def isatty(self) -> bool:
        """Bars are drawn."""
        return True


def run_in_terminal(command: Sequence[str], timeout: float = 600) -> str:
    """Run a command whose standard error is a terminal, and return what it wrote there."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writing) as process:
        os.close(writing)
        parts = []
        while True:
            try:
                part = os.read(reading, 65536)
            except OSError:  # on Linux, the end
                break
            if not part:
                break
            parts.append(part)
        assert process.wait(timeout) == 0, b"".join(parts).decode()
    os.close(reading)
    return b"".join(parts).decode()
