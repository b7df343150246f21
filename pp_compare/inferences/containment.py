"""Degrees of freedom by the level at which a column varies."""

from __future__ import annotations

import numpy as np

from pp_compare.engines.nlme import chain
from pp_compare.model.design import Design


def containment_df(design: Design) -> np.ndarray | None:
    """Degrees of freedom of each fixed effect, (p,), as nlme 3.1's ``getFixDF`` has them.

    With the grouping factors nested in each other, a column belongs to the finest level that it
    varies at: the rows, where it varies within the innermost groups. Each level has as many degrees
    of freedom as it has groups more than the level above, less the columns that belong to it. A
    constant varies at no level: it has the largest of their degrees of freedom, and takes one from
    the outermost level, or, where there is none, leaves one to each of the others (Pinheiro and
    Bates 2000, p. 91).

    Returns
    -------
    ndarray or None
        None where the grouping factors are not nested: a column then has no one level.
    """
    groups = chain(design)
    if groups is None:
        return None
    levels = [design.group_codes[group] for group in groups]
    X = design.X
    constant = np.ptp(X, axis=0) == 0
    counts = [0, *(int(codes.max()) + 1 for codes in levels), design.n_obs]
    # The level of a column: how many groupings there are within whose groups it varies.
    stratum = np.zeros(X.shape[1], dtype=int)
    for k, codes in enumerate(levels, start=1):
        first = np.unique(codes, return_index=True)[1]
        varies = (X[first][codes] != X).any(axis=0)
        stratum[varies] = k
    df = np.diff(counts).astype(float)
    for k in range(len(df)):
        df[k] -= ((stratum == k) & ~constant).sum()
    if constant.any():
        df[0] -= 1
    else:
        df[1:] += 1
    return np.where(constant, df.max(), df[stratum])
