"""The report as one page of HTML with figures that needs nothing beside it."""
