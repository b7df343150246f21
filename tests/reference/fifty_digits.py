"""An item's model as n x n matrices of 50 digits, straight from its definition."""

from __future__ import annotations

import csv
import json
from functools import cache

import mpmath as mp

from tests.reference.the_set import item


@cache
def about(name: str) -> dict:
    return json.loads((item(name) / "item.json").read_text(encoding="utf-8"))


class Dense:
    """A model; whoever works with it sets the digits."""

    def __init__(self, name: str) -> None:
        self.about = about(name)
        model = self.about["model"]
        with (item(name) / "doubles.csv").open(newline="", encoding="utf-8") as file:
            self.rows = list(csv.DictReader(file))
        self.y = mp.matrix([self.number(row[model["response"]]) for row in self.rows])
        self.X = mp.matrix([[self.cell(row, c) for c in model["fixed"]] for row in self.rows])
        self.reml = model["criterion"] == "lmm-reml"
        self.n, self.p = self.X.rows, self.X.cols
        self.df = self.n - self.p * self.reml

    @staticmethod
    def number(text: str) -> mp.mpf:
        return mp.mpf(float.fromhex(text))

    def cell(self, row: dict, column: dict) -> mp.mpf:
        value = 1.0
        for part in column["parts"]:
            text = row[part["column"]]
            value *= float(text == part["level"]) if "level" in part else float.fromhex(text)
        return mp.mpf(value)

    def covariance(self, theta: list) -> mp.matrix:
        """V / sigma2 at theta, entry by entry."""
        V, at = mp.eye(self.n), 0
        for term in self.about["model"]["random"]:
            q = len(term["columns"])
            T = mp.zeros(q)
            for j in range(q):
                for i in range(j, q):
                    T[i, j], at = theta[at], at + 1
            G = T * T.T
            z = [[self.cell(row, c) for c in term["columns"]] for row in self.rows]
            level = [[row[name] for name in term["by"]] for row in self.rows]
            for a in range(self.n):
                for b in range(self.n):
                    if level[a] == level[b]:
                        V[a, b] += sum(
                            z[a][i] * G[i, j] * z[b][j] for i in range(q) for j in range(q)
                        )
        return V

    def solve(self, theta: list) -> dict[str, mp.mpf]:
        """The main quantities by their definitions: generalised least squares with V."""
        V = self.covariance(theta)
        inverse = V**-1
        S = self.X.T * inverse * self.X
        H = S**-1
        beta = H * (self.X.T * inverse * self.y)
        e = self.y - self.X * beta
        s = (e.T * inverse * e)[0]
        deviance = mp.log(mp.det(V)) + self.df * (1 + mp.log(2 * mp.pi * s / self.df))
        if self.reml:
            deviance += mp.log(mp.det(S))
        found = {"deviance": deviance, "loglik": -deviance / 2, "sigma": mp.sqrt(s / self.df)}
        for k in range(self.p):
            found[f"beta {k}"] = beta[k]
            found[f"beta_se {k}"] = mp.sqrt(s / self.df * H[k, k])
        return found

    def theta(self) -> list:
        """The published place; of one random intercept it is the square of theta."""
        values = [mp.mpf(value) for value, _ in self.about["optima"][0]["position"]]
        return [mp.sqrt(v) for v in values] if self.about["claim"]["kind"] == "global" else values
