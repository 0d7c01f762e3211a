"""Facts on disk: runs, their jobs, and what the jobs report. Free of torch."""
