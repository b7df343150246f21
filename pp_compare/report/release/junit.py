"""A check of releases as JUnit XML, which most CIs show: one suite a difference or candidate."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from pp_compare.report.release.record import KINDS, CandidateReport, Difference, ReleaseReport
from pp_compare.report.release.tables import where


def releases_junit(report: ReleaseReport, fail_on: str) -> str:
    """One test a kind of change; it fails by the same rule as the exit status.

    Parameters
    ----------
    fail_on : {"worse", "any", "none"}
    """
    root = Xml.Element("testsuites", name="pp-compare releases")
    root.append(_started(report.candidates))
    for difference in report.differences:
        root.append(_suite(difference, fail_on))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _started(candidates: tuple[CandidateReport, ...]) -> Xml.Element:
    failed = sum(c.problem is not None for c in candidates)
    suite = _element("candidates", len(candidates), failed)
    for candidate in candidates:
        test = Xml.SubElement(suite, "testcase", classname="candidates", name=candidate.name)
        if candidate.problem:
            Xml.SubElement(test, "failure", message=_printable(candidate.problem))
    return suite


def _suite(difference: Difference, fail_on: str) -> Xml.Element:
    name = f"{difference.before} to {difference.after}"
    counted = {"worse": ("worse",), "any": ("worse", "better", "changed"), "none": ()}[fail_on]
    failing = {kind: [c for c in difference.changes if c.kind == kind and c.direction in counted]
               for kind in KINDS}  # fmt: skip
    suite = _element(name, len(KINDS), sum(bool(changes) for changes in failing.values()))
    for kind, changes in failing.items():
        test = Xml.SubElement(suite, "testcase", classname=name, name=KINDS[kind])
        if changes:
            lines = [
                f"{c.direction} {c.subject}: {c.before} -> {c.after} {where(c)}" for c in changes
            ]
            failure = Xml.SubElement(test, "failure", message=_printable(lines[0]))
            failure.text = _printable("\n".join(lines))
    return suite


def _element(name: str, tests: int, failures: int) -> Xml.Element:
    return Xml.Element("testsuite", name=name, tests=str(tests), failures=str(failures), errors="0")


def _printable(text: str) -> str:
    """XML 1.0 has no control characters, not even escaped."""
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text)
