"""How many images are flagged, and how many would be if all of them were normal."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

LEVEL = 0.95  # of intervals; what lies outside is called more, or fewer


@dataclass(frozen=True)
class Drift:
    """``flagged`` of ``count`` images at ``alpha``, by ``calibration`` images."""

    flagged: int
    count: int
    alpha: float
    calibration: int

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the share that is flagged of all such images (Clopper & Pearson 1934, Biometrika 26(4)).

        >>> tuple(round(end, 4) for end in Drift(0, 10, 0.05, 99).interval)
        (0.0, 0.3085)
        """
        from scipy.stats import beta

        k, n, tail = self.flagged, self.count, (1 - LEVEL) / 2
        low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
        high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
        return low, high

    @property
    def expected(self) -> float:
        """The share of normal images that is flagged, on average over sets of calibration images: at most alpha."""
        return self._rank / (self.calibration + 1)

    @property
    def usual(self) -> tuple[int, int]:
        """How many of as many normal images are flagged in 95% of cases.

        Of ``count`` images that are exchangeable with the calibration images the number that is flagged is
        beta-binomial with r and n + 1 - r, r = floor(alpha (n + 1)) (the share itself is an order statistic's): a
        finite set of calibration images counts, which the binomial interval alone does not know of.
        """
        from scipy.stats import betabinom

        known, tail = betabinom(self.count, self._rank, self.calibration + 1 - self._rank), (1 - LEVEL) / 2
        return int(known.ppf(tail)), int(known.ppf(1 - tail))

    @property
    def verdict(self) -> str:
        """``more``, ``fewer`` or ``as many`` as of normal images."""
        low, high = self.usual
        return "more" if self.flagged > high else "fewer" if self.flagged < low else "as many"

    @property
    def line(self) -> str:
        """All of it in one line."""
        (low, high), (least, most) = self.interval, self.usual
        meaning = {
            "more": "That is more than of normal images alone: there are anomalies among them, or what is normal has "
            "changed. If they are all normal, calibrate with them: calibrate=<their folder>",
            "fewer": "That is fewer than of normal images: they are more usual than the calibration images. Are they "
            "images that were trained on?",
            "as many": "That is as many as of normal images alone, and no sign of drift; nor is it one that all are "
            "normal",
        }[self.verdict]
        return (
            f"Flagged {self.flagged:,} of {self.count:,}, {self.flagged / self.count:.1%} (95% interval {low:.1%} to "
            f"{high:.1%}). Of normal images {self.expected:.1%} are expected, from {least / self.count:.1%} to "
            f"{most / self.count:.1%} of so many with {self.calibration:,} calibration images. {meaning}"
        )

    @property
    def _rank(self) -> int:
        return floor(round(self.alpha * (self.calibration + 1), 9))
