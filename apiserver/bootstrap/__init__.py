"""What the server makes for itself once it serves: namespaces, default policy, priority classes, the ``kubernetes`` Service."""
