"""The package as it is shipped: ``make dist``, ``make matrix``, ``make audit``, ``make types``."""
