"""Campaigns: a plan, its data sets, their fits in processes and on machines, and what they say.

Plan -> Point -> Sample -> Fit (one an engine) -> Row -> Parquet -> CampaignReport
"""
