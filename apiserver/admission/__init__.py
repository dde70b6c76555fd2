"""Admission plugins, one a file; ``apiserver.admission.build`` lists them in their order."""
