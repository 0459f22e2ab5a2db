"""Every reason to refuse a file, as a table of cases: one module a part of the file."""

from . import attributes, cases, datasets, datatypes, links, manifests, tensors, whole_file

__all__ = ["attributes", "cases", "datasets", "datatypes", "links", "manifests", "tensors", "whole_file"]
