"""A device's papers are never written over another's: its private key is nowhere else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.mosquitto.local import LocalMosquitto
from broker.pki.devices import drop_old_keys, provision_device, renew_device
from broker.pki.folder import ProvisioningRefused
from broker.pki.link import load_papers
from broker.pki.registry import Device
from broker.pki.site import provision_site
from tests.contract.raw_mqtt import Papers, RawClient

NOW = datetime.now(UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    provision_site(tmp_path / "site", tmp_path / "ca", "north", now=NOW)
    add(tmp_path, "stim-01", "papers")
    return tmp_path


def add(root: Path, device: str, out: str) -> Device:
    return provision_device(root / "site", root / "ca", device, "room-1", f"SN-{device}", "bench", root / out, now=NOW)


def renew(root: Path, device: str, out: str, *, new_key: bool = False) -> Device:
    return renew_device(root / "site", root / "ca", device, root / out, now=NOW, new_key=new_key)


def everything(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_device_does_not_get_the_folder_of_another(root: Path) -> None:
    before = everything(root)
    with pytest.raises(ProvisioningRefused) as refused:
        add(root, "stim-08", "papers")
    assert str(refused.value) == (
        f"The folder {root / 'papers'} holds the papers of stim-01, and its key may be nowhere else; "
        "name another folder with --out."
    )
    assert everything(root) == before


@pytest.mark.parametrize("left", ["device.key", "device.crt", "device.json"])
def test_a_new_device_does_not_get_a_folder_in_which_a_paper_is_left(root: Path, left: str) -> None:
    """Nobody can say whose it is: a copy that was cut off, or an interrupted command."""
    (root / "half").mkdir()
    (root / "half" / left).write_bytes(b"{}")
    before = everything(root)
    with pytest.raises(ProvisioningRefused) as refused:
        add(root, "stim-08", "half")
    assert str(refused.value) == (
        f"The folder {root / 'half'} holds {left} already, and nobody can say whose it is; "
        "name another folder with --out, or remove what nobody needs."
    )
    assert everything(root) == before


def test_a_folder_that_is_there_and_holds_no_papers_is_taken(root: Path) -> None:
    (root / "stick").mkdir()
    (root / "stick" / "README").write_text("the clinic's stick")
    add(root, "stim-08", "stick")
    assert load_papers(root / "stick").device == "stim-08"


@pytest.mark.parametrize("new_key", [False, True])
def test_renewed_papers_are_not_written_over_those_of_another_device(root: Path, *, new_key: bool) -> None:
    add(root, "stim-08", "papers-08")
    before = everything(root)
    with pytest.raises(ProvisioningRefused, match=r"papers-08 holds the papers of stim-08, and its key") as refused:
        renew(root, "stim-01", "papers-08", new_key=new_key)
    assert str(refused.value).endswith("name another folder with --out.")
    assert everything(root) == before


def test_papers_that_nobody_can_read_are_not_written_over_by_a_renewal(root: Path) -> None:
    (root / "papers" / "device.json").write_text("{")
    before = everything(root)
    with pytest.raises(ProvisioningRefused, match=r"holds device\.json already, and nobody can say whose it is"):
        renew(root, "stim-01", "papers")
    assert everything(root) == before


def test_a_device_s_own_folder_may_get_its_renewed_certificate(root: Path) -> None:
    key = (root / "papers" / "device.key").read_bytes()
    before = (root / "papers" / "device.crt").read_bytes()
    renew(root, "stim-01", "papers")
    assert (root / "papers" / "device.key").read_bytes() == key
    assert (root / "papers" / "device.crt").read_bytes() != before


def test_after_the_end_of_a_renewal_the_broker_still_takes_the_old_certificate(root: Path) -> None:
    """As the command says: the fleet's MACs end it, the broker goes by the name. Only striking the device off does."""
    renew(root, "stim-01", "renewed", new_key=True)
    drop_old_keys(root / "site", "stim-01")
    with LocalMosquitto(root / "site") as mosquitto:
        for folder in ("papers", "renewed"):
            with RawClient(mosquitto.port, Papers.of_device(root / folder)):
                pass
