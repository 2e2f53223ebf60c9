"""One process of the cluster leads: it alone runs the schedules."""
