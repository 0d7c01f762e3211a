"""The only package that imports torch: builds, trains and evaluates networks."""
