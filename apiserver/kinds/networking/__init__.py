"""Kinds of the group networking.k8s.io."""

from __future__ import annotations

from apiserver.kinds.networking.addresses import IP_ADDRESS, SERVICE_CIDR
from apiserver.kinds.networking.ingress import INGRESS
from apiserver.kinds.networking.ingressclass import INGRESS_CLASS
from apiserver.kinds.networking.networkpolicy import NETWORK_POLICY
from apiserver.registry.kind import Kind

KINDS: tuple[Kind, ...] = (INGRESS_CLASS, INGRESS, IP_ADDRESS, NETWORK_POLICY, SERVICE_CIDR)
