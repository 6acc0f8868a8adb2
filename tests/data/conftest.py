import warnings

with warnings.catch_warnings():  # its import calls functions that recent releases of torch deprecate
    warnings.simplefilter("ignore")
    import torch_geometric.data  # noqa: F401
