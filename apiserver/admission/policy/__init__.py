"""Admission policies: ValidatingAdmissionPolicy with its bindings, evaluated on every request they match."""
