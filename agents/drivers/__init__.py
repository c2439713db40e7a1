"""What a stimulator driver must offer, and the drivers."""
