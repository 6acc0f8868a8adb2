"""Model cards, rendered from measured results by ``python -m equizoo.hub.cards``."""
