"""Bills of materials of the images, in CycloneDX: `make sbom`."""
