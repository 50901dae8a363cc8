"""The few colours of the figures, and the names by which the page's style sheet knows them.

A figure is drawn once, in mid tones that hold on white paper. Where it stands inline in the page, each tone
becomes a CSS variable with two values, one for a light and one for a dark screen (`style.css`). The series
lean on the palette of Okabe and Ito, whose colours the common kinds of colour blindness keep apart; lines
differ in their dashes as well.
"""

SERIES = ("#0b6fb8", "#c8501e", "#0a8a66", "#9a4f96", "#a87b00", "#3a9cc4")
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5, 1.5),
    (1.5, 1.5),
    (7, 1.5, 1.5, 1.5),
    (3, 1),
    (5, 1.5, 1, 1.5, 1, 1.5),
)

INK = "#22262b"
MUTED = "#71787f"
PAPER = "#fdfdfb"
MEMBER = SERIES[0]
NONMEMBER = SERIES[1]

CSS_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}
