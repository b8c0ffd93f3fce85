"""A head fitted on a researcher's own labels, with speakers left out."""
