"""Node IPAM: every node gets a part of the cluster's pod range as its own, where the flags say so.

Our kubelets put all pods of a cluster on one Docker network and give out that network's addresses, whatever a node's
``podCIDR``; the field is for whoever reads it (network plugins, other kubelets).
"""

from controllers.nodeipam.controller import CONTROLLER

__all__ = ["CONTROLLER"]
