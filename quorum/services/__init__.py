"""The services: a folder for each that rides on the outside world, a file for each other."""
