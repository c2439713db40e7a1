"""Stories of the clinic: one sentence, one step, exactly what follows."""
