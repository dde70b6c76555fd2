"""Service account tokens: issuing, checking, publishing the keys."""
