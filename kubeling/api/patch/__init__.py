"""JSON patch, JSON merge patch and strategic merge patch. None of them changes its arguments."""

from kubeling.api.patch.jsonpatch import JSONPatchFailed, json_patch
from kubeling.api.patch.merge import merge_patch
from kubeling.api.patch.request import PatchKind, patch_object
from kubeling.api.patch.strategic import strategic_merge

__all__ = ["JSONPatchFailed", "PatchKind", "json_patch", "merge_patch", "patch_object", "strategic_merge"]
