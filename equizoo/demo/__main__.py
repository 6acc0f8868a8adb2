"""``python -m equizoo.demo``: the demo on a page of this machine."""

from equizoo.demo import launch

if __name__ == "__main__":
    launch()
