"""Signs that a table breaks what a linear learner assumes: rows that depend on each other, codes read as amounts.

Both tests are of ranks, so that no distribution of the columns is assumed, and their error rates hold for the table as
a whole: of tables that break nothing fewer than one in 100,000 is doubted, however many columns they have.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import optimize, special, stats

ALPHA = 1e-5  # tables without fault that are doubted, of each kind of fault
STRONG = 0.2  # the least lag-1 autocorrelation that matters
UNEQUAL = 4.0  # the least ratio of noise variances that matters
FEWEST_ROWS = 20
LEVELS = (3, 10)  # distinct whole numbers from 0 on of what may be codes
FEWEST_OF_A_LEVEL = 5  # rows
MOST_ROWS = 10_000  # of which a test takes account
_SHOWN = 6  # columns that a warning names
_KNOTS = 16  # of what a sorted column may do to the others


class AssumptionWarning(UserWarning):
    """A table seems to break an assumption of the learner, so that its graph may be wrong."""


def warn(x: np.ndarray, names: Sequence[str], stacklevel: int = 2) -> None:
    """Warns of every sign that a table breaks an assumption, by column name.

    Args:
      x: `[n, d]` float64, finite.
      names: one a column.
      stacklevel: as `warnings.warn` has it.

    Warns:
      AssumptionWarning: as `doubts` says.
    """
    for message in doubts(x, names):
        warnings.warn(message, AssumptionWarning, stacklevel=stacklevel + 1)


def doubts(x: np.ndarray, names: Sequence[str]) -> list[str]:
    """Looks for an index among the columns, for dependent rows and for nominal codes; a sentence for each found.

    Args:
      x: `[n, d]` float64, finite, no column constant.
      names: one a column.
    """
    first, some = x[:MOST_ROWS], x[:: max(1, len(x) // MOST_ROWS)]
    return [*_of_index(first, names), *_of_rows(first, names), *_of_codes(some, names)]


def variance_doubts(residual: np.ndarray, parents: np.ndarray, names: Sequence[str]) -> list[str]:
    """Tests by Bartlett's statistic whether residuals have one variance, as a search with equal noise variances
    assumes; a sentence where they have not.

    Args:
      residual: what a fit leaves of each column, `[n, d]`.
      parents: how many each column has, `[d]`.
      names: one a column.

    Reference: Bartlett, "Properties of sufficiency and statistical tests", Proc. Royal Society A 160 (1937).
    """
    freedom = len(residual) - 1.0 - parents
    squares = np.sum((residual - residual.mean(axis=0)) ** 2, axis=0)
    if len(freedom) < 2 or freedom.min() < 2 or squares.min() <= 0:
        return []
    variance, total = squares / freedom, freedom.sum()
    statistic = total * np.log(squares.sum() / total) - np.sum(freedom * np.log(variance))
    statistic /= 1 + (np.sum(1 / freedom) - 1 / total) / (3 * (len(freedom) - 1))
    least, most = variance.argmin(), variance.argmax()
    if stats.chi2.sf(statistic, len(freedom) - 1) > ALPHA or variance[most] < UNEQUAL * variance[least]:
        return []
    return [
        f"the noise has no single variance (that of {names[most]} is {variance[most] / variance[least]:.3g} times that "
        f"of {names[least]}): directions that rest on equal variances are then an accident of the columns' units; take "
        "causal.Config(), which does not assume it"
    ]


def autocorrelation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tests each column for dependence of a row on the row before it.

    The lag-1 correlation of the ranks, whose mean and variance over all orders of the rows are exact (Wald and
    Wolfowitz). Where one value fills more than half of a column, the runs of that value are counted instead, whose
    distribution is exact.

    Where the rows are sorted by a column, it would correlate all that depend on it, and nothing is wrong with that: the
    ranks of the others are then taken less a smooth function of its rank, and its own are not tested. A column of equal
    steps is an index or a time, not a sorted measurement: it excuses nothing, and is not tested either.

    Args:
      x: `[n, d]` float64, finite.

    Returns:
      The lag-1 autocorrelation of each column, `[d]`, and the probability of as much in rows of random order, `[d]`.
    """
    ranks, lagged, order = _lag_correlation(x)
    tested = ~_is_index(x) & (np.arange(x.shape[1]) != order)
    probability = np.ones(x.shape[1])
    for j in np.flatnonzero(tested):
        probability[j] = _probability(x[:, j], ranks[:, j], lagged[j])
    return np.where(tested, lagged, 0.0), probability


def _of_index(x: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    columns = np.flatnonzero(_is_index(x)) if len(x) >= FEWEST_ROWS else []
    if len(columns):
        yield (
            f"{_list_words([names[j] for j in columns])}: changes by the same step from row to row, as an index or a "
            "time does, and no measurement; leave it out"
        )


def _of_rows(x: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    if len(x) < FEWEST_ROWS:
        return
    if _lag_correlation(x)[1].max(initial=0) <= STRONG:
        return  # mostly, and much faster
    lagged, probability = autocorrelation(x)
    columns = np.flatnonzero((probability < ALPHA / x.shape[1]) & (lagged > STRONG))
    if len(columns):
        listed = _list_words([f"{names[j]} {lagged[j]:.2f}" for j in columns[np.argsort(-lagged[columns])]])
        yield (
            f"the rows are not in random order (lag-1 autocorrelation: {listed}): in a time series rows depend on each "
            "other, and edges and their frequencies come out far too sure; add lagged columns or take differences. If "
            "the rows of independent units were only sorted, nothing is wrong"
        )


def _of_codes(x: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    codes = [j for j in range(x.shape[1]) if _has_few_levels(x[:, j])]
    if not codes or x.shape[1] < 2:
        return
    ranks = _ranks(x)
    pairs = [(j, other) for j in codes if (other := _witness(x[:, j], ranks, j)) is not None]
    if pairs:
        code, other = pairs[0]
        levels = np.unique(x[:, code])
        means = ", ".join(f"{x[x[:, code] == level, other].mean():.3g}" for level in levels)
        yield (
            f"{_list_words([names[j] for j, _ in pairs])}: few whole numbers that look like codes of groups, but are "
            f"read as amounts (along {', '.join(f'{level:g}' for level in levels)} of {names[code]} the mean of "
            f"{names[other]} goes up and down: {means}); for groups give a column of 0 and 1 for each but one. If they "
            "are amounts, their effect is no line, and a linear fit can miss it"
        )


def _list_words(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _lag_correlation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Ranks, their lag-1 correlation, and the column by which the rows are sorted, whose effect they are without."""
    ranks = _ranks(x)
    ranks -= ranks.mean(axis=0)
    order = _sorting_column(x)
    if order is not None:
        ranks = ranks - _smooth(x[:, order], ranks)
    squares = np.sum(ranks**2, axis=0)
    return ranks, np.sum(ranks[1:] * ranks[:-1], axis=0) / np.where(squares > 0, squares, 1), order


def _ranks(x: np.ndarray) -> np.ndarray:
    """The ranks of each column, `[n, d]`; equal values share their mean rank."""
    columns = np.ascontiguousarray(x.T)
    order = columns.argsort(axis=1)
    ranks = np.zeros(columns.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, len(x) + 1)[None], axis=1)
    tied = (np.diff(np.take_along_axis(columns, order, axis=1), axis=1) == 0).any(axis=1)
    if tied.any():
        ranks[tied] = stats.rankdata(columns[tied], axis=1)
    return ranks.T


def _is_index(x: np.ndarray) -> np.ndarray:
    """True for columns of equal steps, `[d]` bool."""
    steps = np.diff(x, axis=0)
    return np.ptp(steps, axis=0) <= 1e-6 * np.abs(steps).max(axis=0)


def _sorting_column(x: np.ndarray) -> int | None:
    """A measured column by which the rows are sorted, up or down; None where there is none."""
    steps = np.diff(x, axis=0)
    sorting = (np.all(steps >= 0, axis=0) | np.all(steps <= 0, axis=0)) & ~_is_index(x)
    return int(sorting.argmax()) if sorting.any() else None


def _smooth(order: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """What a sorted column explains of the others: means of its levels where they are few, else a cubic spline."""
    levels, level = np.unique(order, return_inverse=True)
    if len(levels) <= 2 * _KNOTS:
        basis = np.eye(len(levels))[level]
    else:
        rank = stats.rankdata(order) / len(order)
        knots = np.arange(1, _KNOTS) / _KNOTS
        powers = rank[:, None] ** np.arange(4)
        basis = np.concatenate([powers, np.maximum(rank[:, None] - knots, 0) ** 3], axis=1)
    return basis @ np.linalg.lstsq(basis, ranks, rcond=None)[0]


def _probability(values: np.ndarray, ranks: np.ndarray, lagged: float) -> float:
    """The probability of such an autocorrelation, or of a greater one, in rows of random order."""
    rows = len(values)
    _, counts = np.unique(values, return_counts=True)
    if 2 * counts.max() > rows:
        common = values == np.unique(values)[counts.argmax()]
        return _few_runs(int(common.sum()), rows - int(common.sum()), 1 + int(np.sum(common[1:] != common[:-1])))
    second, fourth = np.sum(ranks**2), np.sum(ranks**4)
    if second == 0:
        return 1.0
    # the moments of sum r_t r_t+1 over all orders of the rows
    mean = -second / rows
    pairs = (second**2 - fourth) / (rows * (rows - 1))
    triples = (2 * fourth - second**2) / (rows * (rows - 1) * (rows - 2))
    fours = (3 * second**2 - 6 * fourth) / (rows * (rows - 1) * (rows - 2) * (rows - 3))
    squared = (rows - 1) * pairs + 2 * (rows - 2) * triples + (rows - 2) * (rows - 3) * fours
    return float(special.ndtr((mean - lagged * second) / np.sqrt(squared - mean**2)))


def _few_runs(one: int, other: int, runs: int) -> float:
    """The probability of at most so many runs in a random order of two kinds of things."""
    total = _log_choose(one + other, one)
    count = np.arange(1, runs // 2 + 1)
    even = 2 * np.exp(_log_choose(one - 1, count - 1) + _log_choose(other - 1, count - 1) - total)
    count = np.arange(1, (runs - 1) // 2 + 1)
    longer = _log_choose(one - 1, count) + _log_choose(other - 1, count - 1)
    shorter = _log_choose(one - 1, count - 1) + _log_choose(other - 1, count)
    return float(min(1.0, even.sum() + np.exp(longer - total).sum() + np.exp(shorter - total).sum()))


def _log_choose(total, chosen):
    with np.errstate(invalid="ignore"):
        value = special.gammaln(total + 1.0) - special.gammaln(chosen + 1.0) - special.gammaln(total - chosen + 1.0)
    return np.where(np.asarray(chosen) <= total, value, -np.inf)


def _has_few_levels(column: np.ndarray) -> bool:
    if len(np.unique(column[:100])) > LEVELS[1] or (column[:100] % 1).any():
        return False
    levels = np.unique(column)
    return LEVELS[0] <= len(levels) <= LEVELS[1] and levels[0] >= 0 and not (levels % 1).any()


def _witness(column: np.ndarray, ranks: np.ndarray, code: int) -> int | None:
    """Another column whose mean goes up and down along the levels of a column of few whole numbers."""
    _, level, counts = np.unique(column, return_inverse=True, return_counts=True)
    kept = counts >= FEWEST_OF_A_LEVEL
    if kept.sum() < LEVELS[0]:
        return None
    rows = kept[level]
    groups = np.eye(len(counts))[level[rows]][:, kept]
    probability = _monotone(groups, ranks[rows])
    probability[code] = 1.0
    least = int(probability.argmin())
    return least if probability[least] < ALPHA / (ranks.shape[1] * (ranks.shape[1] - 1)) else None


def _monotone(groups: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The probability of such means if they only rise, or only fall, along the groups, `[d]`; rather too great.

    The distance of the mean ranks from the nearest monotone sequence, squared and in units of their variance, is at
    most F-distributed with one degree of freedom less than there are groups.
    """
    sizes = groups.sum(axis=0)
    means = groups.T @ ranks / sizes[:, None]
    squares = groups.T @ (ranks - groups @ means) ** 2
    free = len(ranks) - len(sizes)
    variance = np.maximum(squares / np.maximum(sizes - 1, 1)[:, None], squares.sum(axis=0) / free)  # the safer one
    weights = sizes[:, None] / np.maximum(variance, 1e-9)
    distance = [_from_monotone(means[:, j], weights[:, j]) for j in range(means.shape[1])]
    return stats.f.sf(np.array(distance) / (len(sizes) - 1), len(sizes) - 1, free)


def _from_monotone(means: np.ndarray, weights: np.ndarray) -> float:
    if np.all(np.diff(means) >= 0) or np.all(np.diff(means) <= 0):
        return 0.0
    nearest = [optimize.isotonic_regression(means, weights=weights, increasing=rises).x for rises in (True, False)]
    return float(min(np.sum(weights * (means - fit) ** 2) for fit in nearest))
