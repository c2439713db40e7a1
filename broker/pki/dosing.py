"""The clinic's own dose rules, tighter than the domain's: how often and how long a client may be treated."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from broker.contract.dose import DoseRefused, DoseRules, dose_rules
from broker.contract.plan import Modality
from broker.pki.folder import ProvisioningRefused, changing, registry_of, save


def tighten_dose(site_dir: Path, modality: Modality, rules: Mapping[str, float]) -> DoseRules:
    """Set rules of one modality, by name; those that are not named stay. What holds from now on.

    Raises:
        ProvisioningRefused: a rule is unknown, no such number, or looser than the domain's; nothing is changed.
    """
    with changing(site_dir):
        registry = registry_of(site_dir)
        ours = {**registry.dose_rules.get(modality.value, {}), **rules}
        try:
            known = dose_rules(modality, **ours)
        except DoseRefused as refused:
            raise ProvisioningRefused(f"The dose rules of {modality} cannot be set: {refused}.") from refused
        if rules:
            save(site_dir, replace(registry, dose_rules={**registry.dose_rules, modality.value: ours}))
        return known
