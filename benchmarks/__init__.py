"""Speed of Quorum against named peers, side by side in one run."""
