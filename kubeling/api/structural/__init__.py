"""What the schema of a custom resource means for its objects: defaults, validation, lists that are sets or maps.

Pure; pruning is ``kubeling.api.schema.structural``.
"""
