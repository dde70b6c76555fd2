"""Kubernetes objects in protobuf, as Go clients send them: read, never written (clients that send it take JSON back)."""

from kubeling.api.protobuf.decode import MAGIC, decode_object
from kubeling.api.protobuf.wire import ProtobufError

__all__ = ["MAGIC", "ProtobufError", "decode_object"]
