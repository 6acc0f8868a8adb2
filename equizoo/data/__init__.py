"""Datasets: where each comes from, its files, its split and its units; plain tensors come out."""
