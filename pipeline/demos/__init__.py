"""Demos of `retinue demo`: each task on real images that PyPI packages contain, from the data to an export."""
