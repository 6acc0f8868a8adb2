"""The demo: ``python app.py``, ``make app``, or a Space (see ``python -m equizoo.demo.space``)."""

from equizoo.demo import launch

if __name__ == "__main__":
    launch()
