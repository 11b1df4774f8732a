"""A run as one page for people: sections in, HTML out; the same page live while the run goes on."""
