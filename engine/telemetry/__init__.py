"""Ids, recorder, sampling, histograms, span store, live hub, Prometheus."""
