"""What is timed, and how: the works of a config, the machine's floor, turns taken fairly, tables and plots."""
