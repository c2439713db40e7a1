"""Where a device's papers may be written: never over another's, for its private key may be nowhere else."""

from pathlib import Path

from broker.pki.folder import ProvisioningRefused
from broker.pki.link import load_papers
from broker.pki.registry import BadRegistry

# Those of one device: the others in its folder are the same for the whole site.
_ITS_OWN = ("device.json", "device.key", "device.crt")


def refuse_taken(folder: Path, site: str, renewed: str | None = None) -> None:
    """`renewed`: the device whose folder it may be already; None: nobody's.

    Raises:
        ProvisioningRefused: there are papers of another device, or of nobody knows which.
    """
    there = [name for name in _ITS_OWN if (folder / name).exists()]
    if not there:
        return
    try:
        papers = load_papers(folder)
    except BadRegistry:
        raise ProvisioningRefused(
            f"The folder {folder} holds {there[0]} already, and nobody can say whose it is; "
            "name another folder with --out, or remove what nobody needs."
        ) from None
    if (papers.site, papers.device) != (site, renewed):
        raise ProvisioningRefused(
            f"The folder {folder} holds the papers of {papers.device}, and its key may be nowhere else; "
            "name another folder with --out."
        )
