"""python -m unittest test_reference, in this folder; nothing is needed but Python."""

import hashlib
import math
import sys
import unittest
from pathlib import Path

from reference import Item, generated

ROOT = Path(__file__).resolve().parents[2]


def item(name: str) -> Item:
    """By id, wherever its licence puts it."""
    (folder,) = ROOT.glob(f"items*/{name}")
    return Item.read(folder)


class Reader(unittest.TestCase):
    """What a package's own tests would do."""

    def test_nothing_but_the_standard_library_is_loaded(self) -> None:
        loaded = {name.partition(".")[0] for name in sys.modules}
        self.assertFalse(loaded & {"numpy", "pandas", "flint", "pp_compare"})

    def test_a_balanced_layout_by_its_mean_squares(self) -> None:
        dyestuff = item("Dyestuff.reml")
        groups: dict = {}
        for y, g in zip(dyestuff.data["Yield"], dyestuff.data["Batch"], strict=True):
            groups.setdefault(g, []).append(y)
        n, means = 5, {g: sum(ys) / 5 for g, ys in groups.items()}
        grand = sum(means.values()) / len(means)
        between = n * sum((m - grand) ** 2 for m in means.values()) / (len(means) - 1)
        squares = sum((y - means[g]) ** 2 for g, ys in groups.items() for y in ys)
        within = squares / (len(means) * (n - 1))
        tau2 = (between - within) / n
        self.assertGreater(dyestuff.digits("beta", {"Intercept": grand}), 14)
        self.assertGreater(dyestuff.digits("sigma", math.sqrt(within)), 14)
        found = {("Intercept", "Intercept"): tau2}
        self.assertGreater(dyestuff.digits("random_cov[Batch]", found), 12)
        self.assertLess(dyestuff.digits("sigma", math.sqrt(within) * 1.001), 3.1)

    def test_tests_go_by_their_definition(self) -> None:
        dyestuff = item("Dyestuff.reml")  # balanced, so its grand mean has J - 1 = 5 df
        found = {"Intercept": 5.0}
        self.assertEqual(dyestuff.digits("df", found, "kenward-roger"), 15.0)
        self.assertEqual(dyestuff.digits("df", found, "satterthwaite"), 15.0)
        self.assertLess(dyestuff.digits("df", {"Intercept": 5.01}, "satterthwaite"), 3)

    def test_a_generalised_model_by_its_likelihood_without_random_effects(self) -> None:
        even = Item.read(ROOT / "glmm" / "items" / "glmm_even_counts.laplace")  # its deviation is 0
        beta = {k: float(v) for k, v in even.values("beta").items()}
        rows = zip(even.data["counts"], *even.matrix, strict=True)
        terms = ((y, beta["Intercept"] + beta["x"] * x) for y, _, x in rows)
        found = sum(y * eta - math.exp(eta) - math.lgamma(y + 1) for y, eta in terms)
        self.assertGreater(even.digits("loglik", found), 13)

    def test_the_matrix_is_a_product_of_columns(self) -> None:
        one, predictor = item("seed_case1.reml").matrix
        self.assertEqual(set(one), {1.0})
        self.assertEqual(sum(predictor), 32.0)

    def test_data_are_made_to_the_byte(self) -> None:
        about = item("ladder_1e4.reml").about["data"]
        digest = hashlib.sha256(generated(about["generator"]).encode()).hexdigest()
        self.assertEqual(digest, about["sha256"])

    def test_a_missing_label_is_an_error(self) -> None:
        with self.assertRaises(KeyError):
            item("sleepstudy.reml").digits("beta", {"(Intercept)": 251.4, "Days": 10.5})

    def test_a_truth_of_zero_has_no_digits(self) -> None:
        zero = item("equal_means.reml")
        found = {("Intercept", "Intercept"): 0.0}
        self.assertTrue(math.isnan(zero.digits("random_cov[cluster]", found)))


if __name__ == "__main__":
    unittest.main()
