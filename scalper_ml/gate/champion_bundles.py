"""What would run: the champion of a symbol x horizon, its own verdict, and its bundle byte for byte."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from scalper_ml.errors import BundleError, WarehouseError
from scalper_ml.gate.published import Refused
from scalper_ml.gate.tiers import TIERS
from scalper_ml.warehouse import Warehouse

__all__ = ["ChampionBundles", "no_bundles"]

Stamp = tuple[tuple[str, int, int], ...]
Verdict = Mapping[str, Any]
_SIZE: Final = {tier.name: tier.size_factor for tier in TIERS}


class ChampionBundles:
    """The champions of a warehouse; a bundle is hashed again whenever one of its files was touched."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._verified: dict[str, Stamp] = {}

    def __call__(self, symbol: str, horizon: int, published: Verdict) -> Verdict:
        """The verdict on what would run now.

        Where the champion is the bundle that was scored last, that is the one published. While another candidate asks
        for its place, the champion goes on under the verdict it was promoted with.

        Raises
        ------
        Refused
            ``no_champion``, ``suspended`` or ``bundle_not_verified``: for what would trade otherwise.
        """
        keys: dict[str, str | int] = {"symbol": symbol, "horizon": horizon}
        running = self._pointer(keys)
        own = None if running is None else running["bundle_id"]
        if running is None or own is None:
            if published["action"] == "NO_TRADE":
                return published
            raise Refused("no_champion", f"{symbol} x {horizon}: nothing runs here; materialise champions")
        verdict = published if own == published["bundle_id"] else _promoted_with(running, published)
        if running.get("suspended"):
            raise Refused("suspended", f"{symbol} x {horizon}: suspended, {running['suspended']}")
        if verdict["action"] == "NO_TRADE":
            return verdict
        if running["action"] == "NO_TRADE":
            raise Refused("no_champion", f"{symbol} x {horizon}: its champion may not trade; materialise champions")
        self._verify(keys, verdict["layer"], own)
        return verdict

    def _pointer(self, keys: Mapping[str, str | int]) -> Verdict | None:
        try:
            manifest = self._warehouse.manifest("champions", keys)
        except WarehouseError as error:
            raise Refused("no_champion", str(error)) from None
        return None if manifest is None else manifest.summary

    def _verify(self, keys: Mapping[str, str | int], layer: str, bundle_id: str) -> None:
        folder = self._warehouse.folder(layer, keys) / "bundles" / bundle_id
        try:
            files = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
            stamp: Stamp = tuple((name, status.st_mtime_ns, status.st_size) for name, status in files)
            if self._verified.get(bundle_id) != stamp:
                from scalper_ml.models.bundle import verify_bundle  # slow to import, and not needed to say no

                verify_bundle(folder, bundle_id=bundle_id, symbol=str(keys["symbol"]), horizon=int(keys["horizon"]))
                self._verified[bundle_id] = stamp
        except (OSError, BundleError) as error:
            raise Refused("bundle_not_verified", f"{keys['symbol']} x {keys['horizon']}: {error}") from None


def _promoted_with(running: Verdict, published: Verdict) -> Verdict:
    """The champion's own verdict in the words of a published one; its confidence cannot be loosened."""
    planted = published["report_id"] is not None and published["scored_until"] is None
    until = datetime.fromtimestamp(running["scored_through_us"] / 1e6, tz=UTC).isoformat()
    return {
        **{name: running[name] for name in ("action", "quality_tier", "score_0_100", "min_confidence", "reason")},
        "reasons": [running["reason"]],
        "size_factor": 0.0 if running["action"] == "NO_TRADE" else _SIZE[running["quality_tier"]],
        "threshold": running["min_confidence"],
        "layer": running["layer"],
        "bundle_id": running["bundle_id"],
        "scored_until": None if planted else until,
    }


def no_bundles(symbol: str, horizon: int, published: Verdict) -> Verdict:
    """For a process that has no warehouse: nothing can be verified, so nothing is traded."""
    if published["action"] == "NO_TRADE":
        return published
    raise Refused(
        "bundle_not_verified",
        f"{symbol} x {horizon}: no project here, so bundle {published['bundle_id'][:12]} cannot be verified; run where "
        "config/settings.yaml is, or set SCALPER_SETTINGS",
    )
