"""Samples of every call of the classic API, as :class:`tests.contract.world.Sample`."""

from __future__ import annotations

from tests.contract.samples import messages, numbers, others, services

__all__ = ["SAMPLES"]

SAMPLES = [*messages.SAMPLES, *numbers.SAMPLES, *services.SAMPLES, *others.SAMPLES]
