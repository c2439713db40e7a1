"""The keys of every device of the site, and under which pair of them each device speaks at present."""

from collections.abc import Iterator, Mapping

from broker.wire.mac import LinkKeys


class Keyring(Mapping[str, Mapping[str, LinkKeys]]):
    """Device to kid to keys: what `broker.wire.sealed.Opener` reads. Exchanged as a whole when the registry changes.

    While keys are renewed a device has several; it is answered under those that it used last, at first the newest.
    """

    def __init__(self, links: Mapping[str, Mapping[str, LinkKeys]]) -> None:
        self._links = links
        self._used: dict[str, str] = {}

    def __getitem__(self, device: str) -> Mapping[str, LinkKeys]:
        return self._links[device]

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)

    def exchange(self, links: Mapping[str, Mapping[str, LinkKeys]]) -> None:
        """Other keys from now on: a device that is not among them is neither heard nor answered."""
        self._links = links
        self._used = {device: kid for device, kid in self._used.items() if kid in links.get(device, {})}

    def heard(self, device: str, kid: str) -> None:
        """An authentic message of `device` came under `kid`."""
        self._used[device] = kid

    def answering(self, device: str) -> LinkKeys | None:
        """The keys to answer `device` under; None if it has none."""
        links = self._links.get(device)
        if not links:
            return None
        kid = self._used.get(device)
        return links[kid] if kid is not None and kid in links else next(iter(links.values()))
