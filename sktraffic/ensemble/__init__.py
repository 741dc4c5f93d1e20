"""Ensembles whose members are chosen on captures that they have not seen."""

from sktraffic.ensemble._selection import SelectionEnsemble

__all__ = ["SelectionEnsemble"]
