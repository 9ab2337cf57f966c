"""A record as one HTML file: its verdict, figures, plots and windows (edge-rnn parity --report)."""

from convert.evidence.page.render import write_page

__all__ = ["write_page"]
