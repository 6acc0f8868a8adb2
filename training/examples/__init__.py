"""Examples that are tested: how to relax a network of your own."""
