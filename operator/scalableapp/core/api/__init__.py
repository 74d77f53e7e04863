"""What users write: the fields of a ScalableApp as typed models, and the CRD that is generated from them."""
