"""The controller manager and its controllers, one file (or folder) each."""
