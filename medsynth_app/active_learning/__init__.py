"""Which case to annotate next, who has it, and what each round of annotation brought."""
