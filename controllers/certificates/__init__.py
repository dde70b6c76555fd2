"""Certificate requests: kubelets' own are approved, approved ones signed, old ones removed."""

from controllers.certificates.controller import APPROVING, CLEANING, SIGNING

__all__ = ["APPROVING", "CLEANING", "SIGNING"]
