"""The stylised facts of a textured market, as its tape shows them."""

from collections.abc import Mapping

from scalper_ml.ingest.stylised import stylised_facts
from scalper_ml.ingest.synthetic import simulate
from scalper_ml.layers.tick_sources import synthetic_spec
from scalper_ml.scenarios.scenario import Case, Found

__all__ = ["measure_facts"]


def measure_facts(case: Case) -> Mapping[str, Found]:
    """How many of the stylised facts lie in their ranges, and every figure."""
    (symbol,) = case.scenario.markets
    spec = synthetic_spec(case.open((symbol,)), symbol)
    market = simulate(spec)
    facts = stylised_facts(market.ticks, market.truth["mid"].to_numpy(), spec.interval_us, spec.start_us)
    said = ", ".join(f"{fact.name} {'-' if fact.value is None else f'{fact.value:.3g}'}" for fact in facts)
    outside = [fact.name for fact in facts if not fact.holds]
    return {"facts": Found(float(sum(bool(fact.holds) for fact in facts)), f"outside: {outside}; {said}")}
