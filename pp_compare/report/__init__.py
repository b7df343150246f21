"""Everything shown or stored is rendered from one record, `pp_compare.report.record.Report`."""
