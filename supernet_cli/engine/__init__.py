"""The only room that imports torch: builds, trains and judges networks."""
