"""Relaxed equivariance: layers with an unconstrained term, methods that steer it, and projection."""

from equizoo.relaxation.ace import AceEquality, AceResilient
from equizoo.relaxation.layer import Relaxation, projected, relax, relaxations
from equizoo.relaxation.method import METHODS, Method, Plain, build_method
from equizoo.relaxation.project import fold, project, project_state
from equizoo.relaxation.recm import RecmStyle
from equizoo.relaxation.schedule import ScheduledRelaxation
from equizoo.relaxation.spectral import bake_spectral_norm, spectral_normalise

__all__ = [
    "METHODS",
    "AceEquality",
    "AceResilient",
    "Method",
    "Plain",
    "RecmStyle",
    "Relaxation",
    "ScheduledRelaxation",
    "bake_spectral_norm",
    "build_method",
    "fold",
    "project",
    "project_state",
    "projected",
    "relax",
    "relaxations",
    "spectral_normalise",
]
