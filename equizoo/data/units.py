"""Conversion factors to the units of the published QM9 tables.

References:
    CODATA 2018 (hartree in eV); the thermochemical calorie (4.184 J, exact).
"""

HARTREE_TO_EV = 27.211386245988
EV_TO_KCAL_PER_MOL = 23.060547830619
BOHR_TO_ANGSTROM = 0.529177210903
