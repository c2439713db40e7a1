"""A stimulator with physics, on a bench of its own: pulses, skin, electrodes, battery, converter, watchdog, faults."""
