"""Statistics on rankings: arrays in, frozen results out, each a number or the reason why there is none."""
