"""Draw the pictures of the documentation: ``python docs/images/make.py``.

Needs no R: lme4 and nlme are played back from the recorded references.
"""

from pathlib import Path

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.corpus import case
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines import make_engine
from pp_compare.inferences.explain import explain
from pp_compare.inferences.explain_glmm import explain_glmm
from pp_compare.inferences.profile import criterion_profile
from pp_compare.model import Method
from pp_compare.model.design import Design, build_design
from pp_compare.report.explain.figures import lines_figure, points_figure, weights_figure
from pp_compare.report.explain.glmm_figures import modes_figure
from pp_compare.report.glmm.figure import integrand, integrand_figure
from pp_compare.report.profile_figure import profile_figure
from pp_compare.report.svg import standalone_svg
from pp_compare.resources import write_text

HERE = Path(__file__).parent
ENGINES = {
    "lme4": "recorded:bookworm/lme4",
    "nlme": "recorded:bookworm/nlme",
    "statsmodels": "statsmodels",
}


def design_of(name: str, method: Method = "REML") -> Design:
    """Design of a named case."""
    known = case(name)
    return build_design(known.dataset, known.spec(method))


def never_infected() -> str:
    """A patient of the toenail trial who is well at every visit, at Laplace's own optimum."""
    design = glmm_case("toenail").design()
    best = GlmmModel(design).optimum("laplace").quantities
    patients = design.design.blocks[0]
    well = [
        level
        for k, level in enumerate(patients.levels)
        if (patients.codes == k).sum() == 7 and not design.y[patients.codes == k].any()
    ]
    sd = float(best["random_cov[patientID]"].values[0, 0]) ** 0.5
    found = integrand(design, best["beta"].values, sd, well[0])
    title = "The integrand of one patient of the toenail trial, and where Laplace looks at it"
    return integrand_figure(found, "integrand", title)


def main() -> None:
    """Write one SVG a figure."""
    e = explain(design_of("seed_case1"), title="seed_case1")
    clusters = explain_glmm(glmm_case("glmm_one_large").design(), title="glmm_one_large")
    two = design_of("two_optima_ml", "ML")
    fits = {engine: make_engine(source).fit(two) for engine, source in ENGINES.items()}
    figures = {
        "pooling": lines_figure(e, "pooling"),
        "refit": lines_figure(e, "refit", refit=True),
        "points": points_figure(e, "points"),
        "weights": weights_figure(e, "weights"),
        "integrand": never_infected(),
        "modes": modes_figure(clusters, clusters.effects[0], "modes"),
        "two-optima": profile_figure(criterion_profile(two, fits), "profile", "ML"),
    }
    for name, svg in figures.items():
        write_text(HERE / f"{name}.svg", standalone_svg(svg))


if __name__ == "__main__":
    main()
