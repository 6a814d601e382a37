"""Support for the command line: errors, configs, paths, output files, and options that commands share."""
