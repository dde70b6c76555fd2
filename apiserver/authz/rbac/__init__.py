"""Role based access control, evaluated over an index that follows the stored roles and bindings."""
