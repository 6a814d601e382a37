"""Support of the command line: errors, config resolution, paths, output files, and options that commands share."""
