"""The use cases, one a file: functions that take values, report to an observer and return frozen results."""
