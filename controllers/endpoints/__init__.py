"""Who answers for a service: EndpointSlices, Endpoints, and slices mirrored from hand-written Endpoints."""

from controllers.endpoints.endpoints import CONTROLLER as ENDPOINTS
from controllers.endpoints.endpointslice import CONTROLLER as ENDPOINT_SLICE
from controllers.endpoints.mirroring import CONTROLLER as ENDPOINT_SLICE_MIRRORING

__all__ = ["ENDPOINTS", "ENDPOINT_SLICE", "ENDPOINT_SLICE_MIRRORING"]
