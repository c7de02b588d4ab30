"""Comparing two files of weights, tensor by tensor, inside the sandbox."""
