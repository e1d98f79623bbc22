"""A process that runs many chargers of one organization: the control link says which, and what each shall be."""
