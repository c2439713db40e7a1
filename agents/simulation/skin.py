"""What the current flows through: tissue in series with two skin layers, each a resistance beside a capacitance.

Under a constant current the voltage at the end of a phase of width w is I * (Rs + Rp * (1 - exp(-w / (Rp * Cp)))):
impedance is that voltage over I, so it depends on the pulse width as it does on people. Sweat and gel soak the skin in
the first minutes (Rp falls); later the pad dries, which takes away area and so scales everything. Values are within
what is published for 20 cm2 gel pads: 0.5 to 2 kiloohm at pulse widths of 0.2 to 0.5 ms.
"""

import math
import random
from dataclasses import dataclass

OPEN_OHM = 2e6  # air, cable capacitance and the meter's own input


@dataclass(frozen=True, slots=True)
class Skin:
    """One person's skin under one pair of pads; both pads taken together."""

    tissue_ohm: float = 250.0
    layer_dry_ohm: float = 2500.0  # skin layers when the pads have just been put on
    layer_soaked_ohm: float = 800.0  # and after some minutes
    layer_farad: float = 0.3e-6
    soaking_s: float = 120.0
    drying_s: float = 6 * 3600.0  # after this time on the skin the impedance has doubled
    drift_share: float = 0.02  # breathing, movement, temperature
    drift_offset_rad: float = 0.0

    def impedance_ohm(
        self, worn_s: float, pulse_width_us: float, *, contact_share: float = 1.0, dryness: float = 1.0
    ) -> float:
        """Impedance at the end of a phase, in ohm; `contact_share` 0 is a lifted pad, `dryness` a factor from 1 up."""
        layer_ohm = self.layer_soaked_ohm + (self.layer_dry_ohm - self.layer_soaked_ohm) * math.exp(
            -worn_s / self.soaking_s
        )
        charged_share = 1.0 - math.exp(-pulse_width_us * 1e-6 / (layer_ohm * self.layer_farad))
        wet_ohm = self.tissue_ohm + layer_ohm * charged_share
        scale = dryness * (1.0 + worn_s / self.drying_s) * (1.0 + self._drift(worn_s))
        if contact_share <= 0.0:
            return OPEN_OHM
        return min(OPEN_OHM, wet_ohm * scale / contact_share)

    def _drift(self, worn_s: float) -> float:
        slow = math.sin(worn_s / 47.0 + self.drift_offset_rad)
        breath = math.sin(worn_s * 1.6 + 2.0 * self.drift_offset_rad)
        return self.drift_share * (0.7 * slow + 0.3 * breath)


def skin_of(chance: random.Random) -> Skin:
    """Somebody's skin: the usual values, spread by up to 20 %."""
    spread = [chance.uniform(0.8, 1.2) for _ in range(4)]
    usual = Skin()
    return Skin(
        tissue_ohm=usual.tissue_ohm * spread[0],
        layer_dry_ohm=usual.layer_dry_ohm * spread[1],
        layer_soaked_ohm=usual.layer_soaked_ohm * spread[2],
        layer_farad=usual.layer_farad * spread[3],
        drift_offset_rad=chance.uniform(0.0, 2.0 * math.pi),
    )
