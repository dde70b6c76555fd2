"""The scheduling framework: plugins, profiles, the decision."""
