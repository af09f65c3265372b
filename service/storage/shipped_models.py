"""The models that come with the server, published in a data folder that has none of their names."""

import logging
from importlib.resources import files

from service.errors import UnknownModel
from service.storage.model_store import EVERYBODY, ModelStore
from tclif_core import unpack_model

_SUFFIX = ".safetensors"

_log = logging.getLogger(__name__)


def publish_shipped(models: ModelStore) -> list[str]:
    """Publish each model that comes with the server, unless one of its name is published.

    A name that an administrator published stays as it is, so nobody's sessions begin otherwise
    after an upgrade.

    Returns:
        The names that were published now.

    Raises:
        StorageFailure: The data folder can't be read or written.
    """
    published = []
    folder = files("service") / "models"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(_SUFFIX):
            continue
        name = file.name.removesuffix(_SUFFIX)
        try:
            models.records(EVERYBODY, name)
        except UnknownModel:
            models.add(EVERYBODY, name, unpack_model(file.read_bytes(), file.name))
            _log.info("published model %s, which comes with the server", name)
            published.append(name)
    return published
