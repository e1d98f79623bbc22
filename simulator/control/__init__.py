"""The charger's end of the control link: actions come from there, and results, states and memories go there."""
