"""The only modules that know papermill, MLflow, BentoML, the exporters and version control."""
