"""What the local proof covers: a set of covariances on which the optimum is the lowest.

Where the covariance of a term is singular at the optimum, take the chart of ``general.face``,
G = T T' + R, with T in a box around the optimum and R any positive semidefinite matrix up to a
size; where it is not, the entries of B^-1 G B'^-1, in a box, B of the term's own shape. Let x be
those of T and G. If the
Hessian in x is positive definite wherever R = 0, the criterion is convex there and the stationary
point its minimum; if D[N, N], the slope off the face, is positive definite on all of the set, the
criterion rises along every (x, s R); then

    f(x, R) >= f(x, 0) >= f(x*, 0).

Both are enclosed from the derivatives at the optimum alone. With V = V0 + E and -e V0 <= E <= e V0
(in the order of symmetric matrices), P = B (I + F) B' where P0 = B B' and B'V0 B = I, and
|F| <= h = e / (1 - e). For a direction A of V and A~ = B'A B, with a its Frobenius norm, n its
largest eigenvalue, s = |A~ B'y| and q0 = y'P0 y, the parts of the derivatives move by at most

    tr(P A)            h sqrt(k) a,  k = df
    tr(P A P A')       (2 h + h^2) a a'
    y'P A P y          2 h sqrt(q0) s + h^2 q0 n
    y'P A P A'P y      s c' + s'c + c c' + h (s + c)(s' + c'),  c = n h sqrt(q0)
    y'P y              h q0

because P0 enters as I. For e: V0 is at least the sum over the r terms of Z (G + I / (r z)) Z' with
z the largest eigenvalue of any level's Z'Z, so e is the size of the change of G relative to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.cover.coordinates import turned
from pp_compare.certified.cover.enclosures import Enclosures
from pp_compare.certified.cover.values import BITS
from pp_compare.certified.equations.crossproducts import CrossProducts
from pp_compare.certified.equations.curvature import Parts, entries_of, parts
from pp_compare.certified.equations.krawczyk import NotProvedError, cholesky
from pp_compare.certified.equations.mixed_equations import Solution, solve
from pp_compare.certified.equations.parametrisation import Parameter
from pp_compare.certified.general.face import Face

Floats = NDArray[np.float64]

RADII = tuple(range(1, 20))
"""Boxes are tried with radii 2^-k times the curvature scale, the widest first."""


@dataclass(frozen=True)
class Neighbourhood:
    """Bounds of T, or of G where it has full rank, and of R by term; inside what is proved."""

    face: Face
    low: list[Floats]
    high: list[Floats]
    sizes: list[float]
    back: list[Enclosures]

    @staticmethod
    def around(
        products: CrossProducts, face: Face, factors: Sequence[arb_mat], *, reml: bool
    ) -> Neighbourhood | None:
        """Take the widest set that can be proved; None if there is none.

        Parameters
        ----------
        products : CrossProducts
        face : Face
        factors : sequence of (q, q) arb_mat
            T at the proved optimum.
        reml : bool
        """
        with ctx.workprec(BITS):
            face, factors = _well_placed(face, factors)
            middle = [t.mid() for t in factors]
            about = _About.of(products, middle, reml)
            at = [x.mid() for x in about.charted(face, middle)]
            proved = about.charted(face, factors)
            scale = about.scale(face, at)
            for k in RADII:
                box = [_wider(t, s * 2.0**-k) for t, s in zip(at, scale, strict=True)]
                sizes = [2.0**-k / about.largest[term] for term in range(len(middle))]
                if not all(_within(t, b) for t, b in zip(proved, box, strict=True)):
                    return None
                if about.proves(face, box, sizes):
                    low, high = zip(*(_inside(f) for f in box), strict=True)
                    back = [Enclosures.of_balls(b) for b in about.back]
                    off = [s * 0.999 for s in sizes]
                    return Neighbourhood(face, list(low), list(high), off, back)
        return None

    def holds(self, corners: Sequence[Enclosures]) -> NDArray[np.bool_]:
        """Which cells, given by corners (N, corners, q, q) a term, lie inside."""
        inside = np.ones(len(corners[0].mid), dtype=bool)
        for term, corner in enumerate(corners):
            G, back = corner, self.back[term]
            if _is_full(self.face, term):
                G = back @ G @ Enclosures(back.mid.T, back.rad.T)
            low, high = G.lower.min(axis=1), G.upper.max(axis=1)
            whole = Enclosures((low + high) / 2, (high - low) / 2 * (1 + 1e-14))
            inside &= self._holds_one(term, whole)
        return inside

    def _holds_one(self, term: int, G: Enclosures) -> NDArray[np.bool_]:
        rest, found = G, np.ones(len(G.mid), dtype=bool)
        if _is_full(self.face, term):
            inside = (G.lower >= self.low[term]) & (G.upper <= self.high[term])
            return np.asarray(inside.all(axis=(1, 2)))
        q, pivots = G.mid.shape[-1], self.face.pivots[term]
        for column, pivot in enumerate(pivots):
            with np.errstate(all="ignore"):
                root = _root(rest[:, pivot, pivot])
                entries = rest[:, :, pivot] * root.reciprocal()[:, None]
            for row in (i for i in range(q) if i not in pivots[:column]):
                value = root if row == pivot else entries[:, row]
                found &= value.lower >= self.low[term][row, column]
                found &= value.upper <= self.high[term][row, column]
            rest = rest - entries[:, :, None] * entries[:, None, :]
        for i in (i for i in range(q) if i not in pivots):
            found &= rest[:, i, i].upper <= self.sizes[term]
        return found


@dataclass(frozen=True)
class _About:
    """Derivatives at the optimum, from which those nearby are enclosed.

    Everything but T is in columns Z B, ``back`` B^-1 of each term, in which what V0 is at least,
    ``floor``, is about the unit matrix: no direction is longer than it looks.
    """

    solution: Solution
    parts: Parts
    floor: list[arb_mat]
    back: list[arb_mat]
    largest: list[float]
    reml: bool

    @staticmethod
    def of(products: CrossProducts, middle: Sequence[arb_mat], reml: bool) -> _About:
        largest = [_largest(products, term) for term in range(len(middle))]
        bases, back, floor, G = [], [], [], []
        for t, z in zip(middle, largest, strict=True):
            q, least = t.nrows(), arb(1) / (arb(z) * len(middle))
            unit = arb_mat([[int(i == j) for j in range(q)] for i in range(q)])
            own = t * t.transpose()
            base = cholesky(own + unit * least).mid()
            bases.append(np.array([float(x) for x in base.entries()]).reshape(q, q))
            inverse = arb_mat(bases[-1].tolist()).inv()
            back.append(inverse)
            floor.append(inverse * (own + unit * least) * inverse.transpose())
            G.append(inverse * own * inverse.transpose())
        solution = solve(turned(products, bases), G)
        return _About(solution, parts(solution, reml), floor, back, largest, reml)

    def charted(self, face: Face, factors: Sequence[arb_mat]) -> list[arb_mat]:
        """T of singular terms, B^-1 G B'^-1 of the others."""
        moved = [back * t for back, t in zip(self.back, factors, strict=True)]
        return [
            m * m.transpose() if _is_full(face, k) else t
            for k, (t, m) in enumerate(zip(factors, moved, strict=True))
        ]

    def scale(self, face: Face, middle: Sequence[arb_mat]) -> list[Floats]:
        """How far each coordinate goes for the deviance to rise by about a half; 0 if fixed."""
        result = [np.zeros((t.nrows(), t.nrows())) for t in middle]
        coordinates = _coordinates(face)
        if coordinates:
            hessian, _ = self._enclosed(face, middle, arb(0))
            size = hessian.nrows()
            values = [[float(hessian[i, j]) for j in range(size)] for i in range(size)]
            spread = np.sqrt(np.abs(np.diag(np.linalg.pinv(np.array(values)))))
            for p, s in zip(coordinates, spread, strict=True):
                result[p.block][p.row, p.column] = s
                if _is_full(face, p.block):
                    result[p.block][p.column, p.row] = s
        return result

    def proves(self, face: Face, box: Sequence[arb_mat], sizes: Sequence[float]) -> bool:
        """Whether the criterion is convex on the face and rises off it, T in ``box``."""
        moved = self._moved(face, box, sizes)
        if not moved < arb(1) / 2:
            return False
        hessian, D = self._enclosed(face, box, moved / (1 - moved))
        try:
            if hessian.nrows():
                cholesky(hessian)
            for normal in face.normals(D):
                cholesky(normal)
        except NotProvedError:
            return False
        return True

    def _moved(self, face: Face, box: Sequence[arb_mat], sizes: Sequence[float]) -> arb:
        """e: the largest change of G relative to what V0 is at least."""
        worst = arb(0)
        for term, (t, G, S) in enumerate(zip(box, self.solution.G, self.floor, strict=True)):
            R, half = arb_mat(t.nrows(), t.nrows()), arb(sizes[term]) / 2
            for i in face.dependent(term):
                for j in face.dependent(term):
                    R[i, j] = arb(half, half) if i == j else arb(0, sizes[term])
            back, moved = self.back[term], self.back[term] * t
            if _is_full(face, term):
                E = t - G
            else:
                E = moved * moved.transpose() - G + back * R * back.transpose()
            worst = worst.max(_relative(E, S))
        return worst.upper()

    def _enclosed(
        self, face: Face, box: Sequence[arb_mat], h: arb
    ) -> tuple[arb_mat, list[arb_mat]]:
        """The Hessian on the face and the gradient in G over all that `h` allows."""
        s, at = self.solution, entries_of(self.solution.products.sizes)
        df, q0 = s.df(self.reml), s.q
        q = q0 * (1 + _about_zero(h))
        a = [_at_least_zero(self.parts.trace[i, i]).sqrt() for i in range(len(at))]
        n = [x.min(self._norm(entry)) for x, entry in zip(a, at, strict=True)]
        v = [_at_least_zero(self.parts.bent[i, i]).sqrt() for i in range(len(at))]
        c = [x * h * q0.sqrt() for x in n]
        push = [
            x + _about_zero(2 * h * q0.sqrt() * v[i] + h**2 * q0 * n[i])
            for i, x in enumerate(self.parts.push)
        ]
        rank = arb(s.products.n).sqrt()
        D = [arb_mat(size, size) for size in s.products.sizes]
        for i, (term, row, column) in enumerate(at):
            level = self.parts.level[i] + _about_zero(h * rank * a[i])
            value = level - df * push[i] / q
            D[term][row, column] = D[term][column, row] = value if row == column else value / 2
        second = arb_mat(len(at), len(at))
        for i in range(len(at)):
            for j in range(len(at)):
                trace = self.parts.trace[i, j] + _about_zero((2 * h + h**2) * a[i] * a[j])
                apart = v[i] * c[j] + v[j] * c[i] + c[i] * c[j]
                apart += h * (v[i] + c[i]) * (v[j] + c[j])
                bent = self.parts.bent[i, j] + _about_zero(apart)
                second[i, j] = -trace + df * (2 * bent / q - push[i] * push[j] / q**2)
        D = [b.transpose() * d * b for b, d in zip(self.back, D, strict=True)]
        return self._on_face(face, box, second, D), D

    def _on_face(
        self, face: Face, box: Sequence[arb_mat], second: arb_mat, D: Sequence[arb_mat]
    ) -> arb_mat:
        """The Hessian in T from that in G: G = T T' is quadratic in T."""
        at, coordinates = entries_of(self.solution.products.sizes), _coordinates(face)
        if not coordinates:
            return arb_mat(0, 0)
        moved = [back * t for back, t in zip(self.back, box, strict=True)]
        J = arb_mat([[self._moves(face, p, entry, moved) for entry in at] for p in coordinates])
        hessian = J * second * J.transpose()
        for i, a in enumerate(coordinates):
            for j, b in enumerate(coordinates):
                if (a.block, a.column) == (b.block, b.column) and not _is_full(face, a.block):
                    hessian[i, j] += 2 * D[a.block][a.row, b.row]
        return hessian

    def _moves(
        self, face: Face, p: Parameter, entry: tuple[int, int, int], moved: Sequence[arb_mat]
    ) -> arb:
        """What a coordinate changes an entry of G by: B^-1 (e T' + T e') B'^-1, or of G itself."""
        term, i, j = entry
        if term != p.block:
            return arb(0)
        back, T = self.back[term], moved[term]
        if _is_full(face, term):
            return arb(int((p.row, p.column) == (i, j)))
        return back[i, p.row] * T[j, p.column] + back[j, p.row] * T[i, p.column]

    def _norm(self, entry: tuple[int, int, int]) -> arb:
        """A bound of the largest eigenvalue of a direction relative to V0."""
        term, i, j = entry
        E = arb_mat(self.floor[term].nrows(), self.floor[term].nrows())
        E[i, j] = E[j, i] = 1
        return _relative(E, self.floor[term])


def _well_placed(face: Face, factors: Sequence[arb_mat]) -> tuple[Face, list[arb_mat]]:
    """The same face with the larger coefficient of two as the independent one, its T positive.

    T of rank one has both entries free whichever is the pivot; R is what is left of the other.
    """
    pivots, turned = list(face.pivots), list(factors)
    for term, t in enumerate(factors):
        if face.sizes[term] == 2 and len(pivots[term]) == 1:
            first, second = abs(float(t[0, 0])), abs(float(t[1, 0]))
            row = int(second > first)
            pivots[term] = (row,)
            turned[term] = -t if t[row, 0] < 0 else t
    return Face(face.sizes, tuple(pivots)), turned


def _is_full(face: Face, term: int) -> bool:
    return not face.dependent(term)


def _coordinates(face: Face) -> list[Parameter]:
    """Entries of T of singular terms, and of G of the others."""
    whole = [
        Parameter(term, i, j)
        for term, q in enumerate(face.sizes)
        if _is_full(face, term)
        for i in range(q)
        for j in range(i + 1)
    ]
    return whole + [p for p in face.parameters if not _is_full(face, p.block)]


def _relative(E: arb_mat, S: arb_mat) -> arb:
    """A bound of the largest absolute eigenvalue of E relative to a positive definite S."""
    root = cholesky(S).inv()
    white = root * E * root.transpose()
    return sum((x.abs_upper() ** 2 for x in white.entries()), arb(0)).sqrt().abs_upper()


def _largest(products: CrossProducts, term: int) -> float:
    """Above the largest eigenvalue of Z'Z of any level of a term: the trace."""
    found, q = 0.0, products.sizes[term]
    for stratum in products.strata:
        starts = zip(stratum.blocks, products.offsets(stratum), strict=True)
        for start in [start for block, start in starts if block == term]:
            for c in stratum.components:
                trace = sum((c.zz[start + i, start + i] for i in range(q)), arb(0))
                found = max(found, float(trace.abs_upper()) * (1 + 1e-15))
    return found


def _about_zero(radius: arb) -> arb:
    return arb(0, radius.abs_upper())


def _at_least_zero(x: arb) -> arb:
    return x.nonnegative_part()


def _wider(t: arb_mat, radius: Floats) -> arb_mat:
    rows = zip(t.tolist(), radius.tolist(), strict=True)
    return arb_mat([[arb(x, r) for x, r in zip(row, by, strict=True)] for row, by in rows])


def _within(t: arb_mat, box: arb_mat) -> bool:
    return all(b.contains(x) for x, b in zip(t.entries(), box.entries(), strict=True))


def _root(x: Enclosures) -> Enclosures:
    """Square root; NaN where x may be negative."""
    low, high = np.sqrt(x.lower) * (1 - 1e-15), np.sqrt(x.upper) * (1 + 1e-15)
    mid = (low + high) / 2
    return Enclosures(mid, (high - low) / 2 + 1e-15 * np.abs(mid))


def _inside(box: arb_mat) -> tuple[Floats, Floats]:
    """Doubles certainly inside the bounds of balls; where there are none, bounds of nothing."""
    shape = box.nrows(), box.ncols()
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for i, row in enumerate(box.tolist()):
        for j, ball in enumerate(row):
            mid, rad = float(ball.mid()), float(ball.rad()) * (1 - 1e-9)
            if ball.contains(arb(mid - rad)) and ball.contains(arb(mid + rad)):
                low[i, j], high[i, j] = mid - rad, mid + rad
    return low, high
