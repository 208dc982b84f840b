"""Fashion-MNIST and KMNIST: MNIST's format and size, fetched once by torchvision's downloader.

Sources: Xiao, Rasul and Vollgraf, "Fashion-MNIST" (2017); Clanuwat et al., "Deep learning for classical Japanese
literature" (2018).
"""

from pathlib import Path
from typing import Any

from fulgurite.data.mnist import MNIST, SHA256
from fulgurite.errors import DataError

CACHE = Path("~/.cache/fulgurite")


class FashionMNIST(MNIST):
    """Fashion-MNIST: 70,000 grey images of 10 kinds of clothing.

    Args:
        root: where the files are, or are put, in torchvision's layout (``ROOT/FashionMNIST/raw/...``); ``null`` for
            ``~/.cache/fulgurite``.
        options: see ``MNIST``.
    """

    folder_name = "FashionMNIST"

    def __init__(self, root: str | None = None, **options: Any) -> None:
        super().__init__(root=str(CACHE) if root is None else root, **options)

    def prepare_data(self) -> None:
        """Download the files that are not there; each is verified by torchvision.

        Raises:
            DataError: when that fails; it says where to put the files.
        """
        try:
            super().prepare_data()
        except DataError:
            self._download()
            super().prepare_data()

    def _download(self) -> None:
        # Imported here: it costs seconds, and only a first run needs it.
        from torchvision import datasets

        try:
            getattr(datasets, self.folder_name)(self.root, download=True)
        # A server that is not there is a RuntimeError, a folder that cannot be written an OSError.
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{self.folder_name} is not in {self.root} and cannot be downloaded ({_shortened(error)}); "
                f"go online, or copy {', '.join(f'{name}.gz' for name in SHA256)} to {self._folder}"
            ) from error


class KMNIST(FashionMNIST):
    """KMNIST: 70,000 grey images of 10 cursive Japanese characters.

    Args:
        root: as for ``FashionMNIST``, with the folder ``KMNIST``.
        options: see ``MNIST``.
    """

    folder_name = "KMNIST"


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
