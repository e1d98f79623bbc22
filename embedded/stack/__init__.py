"""A stack that `chargehand up` runs on this machine: its folder, its environment and its programs."""
