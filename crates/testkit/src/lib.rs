//! Doubles and laws for every seam.
