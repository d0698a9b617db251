"""placebo: what the score says of random signals on a coin's own resampled returns. It must say REJECTED."""

import hashlib
from typing import Any, Final

import numpy as np

from scalper_ml.durable import canonical_json
from scalper_ml.gate.placebo import LEAST_ROWS, placebo_scores
from scalper_ml.gate.tiers import tier_of
from scalper_ml.layers.base import Keys, Layer, code_digest
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest

__all__ = ["PLACEBO_LAYER"]

REPLICATES: Final = 2


def _inputs(project: Project, keys: Keys) -> dict[str, Any]:
    settings = project.settings
    return {
        "code": code_digest("gate", "validation", "layers/placebo"),
        "bars": project.warehouse.require("bars", keys).content,
        "horizons": list(settings.horizons),
        "gate": {"draws": settings.gate.draws, "seed": settings.gate.seed},
    }


def _build(project: Project, keys: Keys) -> Manifest:
    inputs = _inputs(project, keys)
    bars = project.warehouse.read_table(project.warehouse.require("bars", keys), columns=["close"])
    returns = np.diff(np.log(bars["close"].to_numpy()))
    seed = int.from_bytes(hashlib.sha256(f"{inputs['gate']['seed']} {keys['symbol']}".encode()).digest()[:4])
    rows = []
    for horizon in project.settings.horizons:
        if returns.size < LEAST_ROWS + horizon + 1:
            continue
        scores = placebo_scores(returns, horizon, seed=seed, replicates=REPLICATES, draws=inputs["gate"]["draws"])
        for replicate, score in enumerate(scores):
            tier = tier_of(score.score_0_100).name
            rows.append(
                {"horizon": horizon, "replicate": replicate, "trades": int(score.gates[0].observed or 0), "tier": tier,
                 "score_0_100": score.score_0_100, "p_value": score.p_value, "reasons": list(score.reasons)}
            )  # fmt: skip
    accepted = [row for row in rows if row["tier"] != "REJECTED"]
    told = f"{len(rows) - len(accepted)} of {len(rows)} placebos REJECTED" if rows else "too few bars for a placebo"
    checks = [Check("rejected", not accepted, told, blocking=False, values={"placebos": len(rows)})]
    summary = {"placebos": len(rows), "accepted": len(accepted), "scores": rows}
    return project.warehouse.write(
        "placebo", keys, {"placebo.json": canonical_json(rows, indent=1)}, inputs=inputs, summary=summary, checks=checks
    )


PLACEBO_LAYER = Layer("placebo", "symbol", ("bars",), ("rejected",), _inputs, _build)
