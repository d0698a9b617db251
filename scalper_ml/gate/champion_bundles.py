"""Whether the bundle that the bot would run is the one that was scored, byte for byte."""

from scalper_ml.errors import BundleError, WarehouseError
from scalper_ml.gate.published import Refused
from scalper_ml.warehouse import Warehouse

__all__ = ["ChampionBundles", "no_bundles"]

Stamp = tuple[tuple[str, int, int], ...]


class ChampionBundles:
    """Checks bundles in a warehouse; a bundle is hashed again whenever one of its files was touched."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._verified: dict[str, Stamp] = {}

    def __call__(self, symbol: str, horizon: int, layer: str, bundle_id: str) -> None:
        """Refuse unless the champion pointer names this bundle and every byte of it is as sealed.

        Raises
        ------
        Refused
            ``no_champion`` or ``bundle_not_verified``.
        """
        keys: dict[str, str | int] = {"symbol": symbol, "horizon": horizon}
        try:
            champion = self._warehouse.manifest("champions", keys)
        except WarehouseError as error:
            raise Refused("no_champion", str(error)) from None
        if champion is None or champion.summary["bundle_id"] != bundle_id:
            named = "none" if champion is None else str(champion.summary["bundle_id"])[:12]
            told = f"{symbol} x {horizon}: the champion is {named}, scored was {bundle_id[:12]}; materialise champions"
            raise Refused("no_champion", told)
        folder = self._warehouse.folder(layer, keys) / "bundles" / bundle_id
        try:
            stamp: Stamp = tuple(sorted((p.name, (s := p.stat()).st_mtime_ns, s.st_size) for p in folder.iterdir()))
            if self._verified.get(bundle_id) != stamp:
                from scalper_ml.models.bundle import verify_bundle  # slow to import, and not needed to say no

                verify_bundle(folder, bundle_id=bundle_id, symbol=symbol, horizon=horizon)
                self._verified[bundle_id] = stamp
        except (OSError, BundleError) as error:
            raise Refused("bundle_not_verified", f"{symbol} x {horizon}: {error}") from None


def no_bundles(symbol: str, horizon: int, layer: str, bundle_id: str) -> None:
    """For a process that has no warehouse: nothing can be verified, so nothing is traded."""
    raise Refused(
        "bundle_not_verified",
        f"{symbol} x {horizon}: no project here, so bundle {bundle_id[:12]} cannot be verified; run where "
        "config/settings.yaml is, or set SCALPER_SETTINGS",
    )
