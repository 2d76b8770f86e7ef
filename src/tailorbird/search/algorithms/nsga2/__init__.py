"""NSGA-II, by pymoo; the only modules that know pymoo."""

from tailorbird.search.algorithms.nsga2.algorithm import RowNSGA2
from tailorbird.search.algorithms.nsga2.evolution import evolve, nsga2
from tailorbird.search.algorithms.nsga2.population import Rows
from tailorbird.search.algorithms.nsga2.problem import SpaceProblem

__all__ = ["RowNSGA2", "Rows", "SpaceProblem", "evolve", "nsga2"]
