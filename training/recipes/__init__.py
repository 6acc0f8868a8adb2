"""Bundled recipes; one YAML file is one run."""
