"""What the served network says of every case, computed in the background and kept on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from lib.datastore import CaseDatastore
from lib.model_history import ModelHistory
from medsynth_app.active_learning.facts import CaseFacts, FactsCache, Signature
from medsynth_app.active_learning.leases import Leases
from medsynth_app.active_learning.uncertainty import measure_uncertainty
from medsynth_app.errors import MedSynthError
from medsynth_app.segmentation.observation import observe, private_copy
from medsynth_app.segmentation.transforms import prepare

logger = logging.getLogger(__name__)

PASSES = 4
RECIPE = f"2.{PASSES}"
"""Part of the key under which facts are kept: changed whenever they are computed in another way."""


class CaseAssessment:
    """Uncertainty and features of cases.

    Args:
        cache: where they are kept.
        leases: cases in annotators' hands count as labelled for diversity.
        models: knows the served network.
        datastore: gives the cases.
    """

    def __init__(
        self, cache: FactsCache, leases: Leases, models: ModelHistory, datastore: Callable[[], CaseDatastore]
    ) -> None:
        self._cache = cache
        self._leases = leases
        self._models = models
        self._datastore = datastore
        self._network: tuple[str, nn.Module, Sequence[str]] | None = None
        self._failed: set[tuple[str, str]] = set()

    def known(self, names: Sequence[str]) -> tuple[dict[str, CaseFacts], list[CaseFacts]]:
        """Facts of the cases that have any, and of the cases that are labelled or in somebody's hands.

        Facts of the served network; those of the network before, until the first case is looked at again.
        """
        store = self._datastore()
        held = [lease.case for lease in self._leases.current(time.time()).values()]
        around = [*held, *store.get_labeled_images()]
        signatures = self._signatures(store, {*names, *around})
        known = self._cache.known(signatures, self._cache.newest_weights(self._key() or ""))
        wanted = set(names)
        return (
            {name: known[name] for name in names if name in known},
            [known[name] for name in around if name in known and name not in wanted],
        )

    def progress(self) -> dict[str, int]:
        """How many cases the served network has looked at, how many there are to look at, how many cannot be read."""
        store = self._datastore()
        names = self._wanted(store)
        known = self._cache.known(self._signatures(store, names), self._key() or "")
        failed = sum((name, self._key()) in self._failed for name in names)
        return {"assessed": len(known), "cases": len(names), "unreadable": failed}

    def assess_next(self) -> bool:
        """Look at one case that the served network has not seen; answers whether there was one."""
        key = self._key()
        if key is None:
            return False
        store = self._datastore()
        for name in self._waiting(store, key):
            try:
                self._assess(store, name, key)
            except (MedSynthError, OSError, RuntimeError) as error:
                # a case that cannot be read is explained where somebody opens it
                logger.warning("a case cannot be assessed: %s", type(error).__name__)
                self._failed.add((name, key))
                continue
            return True
        return False

    def _waiting(self, store: CaseDatastore, key: str) -> Iterator[str]:
        names = self._wanted(store)
        known = self._cache.known(self._signatures(store, names), key)
        yield from (name for name in names if name not in known and (name, key) not in self._failed)

    def _wanted(self, store: CaseDatastore) -> list[str]:
        """Cases without a label, then labelled ones, which those are compared with."""
        unlabelled = store.get_unlabeled_images()
        labelled = [name for name in store.get_labeled_images() if not store.is_synthetic(name)]
        return _one_of_each(store, [*unlabelled, *labelled])[: store.largest_background_batch]

    def _assess(self, store: CaseDatastore, name: str, key: str) -> None:
        if store.find_out_synthetic(name):
            return  # it is in no list from now on
        signature = store.signature(name)
        checksum = self._cache.checksum(name, signature, lambda: store.checksum(name))
        if self._cache.has(checksum, key):
            return
        network, modalities = self._served(key)
        prepared = prepare(store.case(name).read(modalities))
        seen = observe(torch.from_numpy(prepared.image), network, PASSES)
        facts = CaseFacts(seen.features, measure_uncertainty(seen.answers, seen.brain))
        if self._key() == key:  # no other network was published meanwhile
            self._cache.remember(checksum, key, facts, time.time())

    def _served(self, key: str) -> tuple[nn.Module, Sequence[str]]:
        if self._network is None or self._network[0] != key:
            network, configuration, _ = self._models.current.get()
            self._network = (key, private_copy(network), configuration.modalities)
            self._failed.clear()
            # facts of the network before are asked for until the first case is looked at again; older ones never
            self._cache.forget_other_weights([key, self._cache.newest_weights(key)])
        return self._network[1], self._network[2]

    def _key(self) -> str | None:
        served = self._models.served()
        return f"{served}/{RECIPE}" if served else None

    def _signatures(self, store: CaseDatastore, names: Any) -> dict[str, Signature]:
        signatures: dict[str, Signature] = {}
        for name in names:
            try:
                signatures[name] = store.signature(name)
            except (MedSynthError, OSError):
                continue  # gone since it was listed
        return signatures


def _one_of_each(store: CaseDatastore, names: Sequence[str]) -> list[str]:
    """Of a DICOM study one series is enough."""
    return list({store.examination(name): name for name in reversed(names)}.values())[::-1]
