"""ValidatingAdmissionPolicy: its expressions type-checked against the kinds it is about, what was found told in its status."""

from controllers.admissionpolicies.controller import CONTROLLER

__all__ = ["CONTROLLER"]
