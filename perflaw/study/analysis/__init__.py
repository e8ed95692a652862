"""Analyses of the runs of the study: noise, predictions, choices, transfer, data measures."""
