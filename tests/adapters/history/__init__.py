"""The history of all samples: one suite for its stores, real engines, full disks, killed writers."""
