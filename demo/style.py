"""Colours and lines that the pictures share."""

# Okabe and Ito's colours, which people with any colour vision tell apart; brightness differs too.
BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#5F6368"
INK = "#202124"
STYLE = {"linewidth": 1.6, "solid_capstyle": "round"}
