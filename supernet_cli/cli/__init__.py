"""Speech: the commands, one a file, and how their results are said."""
