"""Container images and Ollama's models: resolved to digests, brought byte for byte, with their referrers."""

from lockgate.collect.oci.registry import Registry, WebRegistry
from lockgate.collect.oci.service import Clients, Registries
from lockgate.collect.oci.skopeo import ImageCopier, Skopeo

__all__ = ["Clients", "ImageCopier", "Registries", "Registry", "Skopeo", "WebRegistry"]
