"""A campaign's report as JSON, schema ``pp-compare/campaign-report/1``."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from pp_compare.report.campaign.record import CampaignReport, Rate

SCHEMA = "pp-compare/campaign-report/1"


def campaign_json(report: CampaignReport) -> str:
    """The report as text; nan is null, and every rate comes with its interval."""
    document = {"schema": SCHEMA, **_plain(report)}
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        low, high = value.interval
        share = value.value if value.of else None
        return {"count": value.count, "of": value.of, "rate": share, "low": low, "high": high}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
