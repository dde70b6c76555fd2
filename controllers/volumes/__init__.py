"""PersistentVolumes: binding to claims, local provisioning, expansion, and protection while in use."""

from controllers.volumes.binder import CONTROLLER as BINDER
from controllers.volumes.ephemeral import CONTROLLER as EPHEMERAL
from controllers.volumes.expansion import CONTROLLER as EXPANSION
from controllers.volumes.protection import PV_PROTECTION, PVC_PROTECTION, VAC_PROTECTION
from controllers.volumes.provisioner import CONTROLLER as PROVISIONER

__all__ = ["BINDER", "EPHEMERAL", "EXPANSION", "PROVISIONER", "PVC_PROTECTION", "PV_PROTECTION", "VAC_PROTECTION"]
